"""The site's only application."""

from django.apps import AppConfig


class HomeConfig(AppConfig):
    name = "wagtail_site.home"
    label = "home"
