"""Settings of the pizza shop: what Django needs and no more.

Four environment variables change them: ``PIZZA_SHOP_DATABASE`` (a file), ``PIZZA_SHOP_SECRET_KEY``,
``PIZZA_SHOP_DEBUG`` (``1`` switches it on) and ``PIZZA_SHOP_HOSTS`` (separated by commas).
"""

import os
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent

SECRET_KEY = os.environ.get("PIZZA_SHOP_SECRET_KEY", "an example, so its key is no secret")
DEBUG = os.environ.get("PIZZA_SHOP_DEBUG") == "1"
ALLOWED_HOSTS = os.environ.get("PIZZA_SHOP_HOSTS", "127.0.0.1,localhost,[::1]").split(",")

# The order matters: receivers are called in the order in which they were connected, so the kitchen
# checks its stock before anyone else hears of a new order.
INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.messages",
    "django.contrib.sessions",
    "django.contrib.staticfiles",
    "menu",
    "kitchen",
    "orders",
    "loyalty",
    "office",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

ROOT_URLCONF = "pizza_shop.urls"
WSGI_APPLICATION = "pizza_shop.wsgi.application"
ASGI_APPLICATION = "pizza_shop.asgi.application"

DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": os.environ.get("PIZZA_SHOP_DATABASE") or BASE_DIR / "pizza_shop.sqlite3",
    },
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

# As safe as Django's default and several times faster: the day's time goes to receivers instead.
PASSWORD_HASHERS = ["django.contrib.auth.hashers.ScryptPasswordHasher"]

STATIC_URL = "static/"
USE_TZ = True
