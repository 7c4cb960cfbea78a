"""A day in the life of the site: from an empty database to pages written, published, moved and deleted."""

from __future__ import annotations

import io
from typing import Any

from django.contrib.auth.models import User
from django.core.files.uploadedfile import SimpleUploadedFile
from django.core.management import call_command
from django.http import HttpResponse
from PIL import Image as Drawing
from wagtail.documents.models import Document
from wagtail.images.models import Image
from wagtail.models import Page, Site

from .browser import Browser
from .home.models import Article


def live(browser: Browser) -> None:
    """Live the day."""
    call_command("migrate", verbosity=1)
    home = lay_out_the_site()
    log_in(browser)
    add_files(browser)
    write_pages(browser, home)
    rearrange_pages(browser, home)
    moderate(browser)
    visit(browser)
    add_an_editor(browser)
    log_out(browser)


def lay_out_the_site() -> Article:
    """Put a home page of our own in the place of Wagtail's welcome page."""
    User.objects.create_superuser("ada", "ada@example.com", "enigma")
    root = Page.get_first_root_node()
    home: Article = root.add_child(instance=Article(title="Home", slug="front"))
    Site.objects.get().delete()
    Site.objects.create(hostname="localhost", root_page=home, is_default_site=True)
    Page.objects.get(slug="home").delete()
    return home


def log_in(browser: Browser) -> None:
    """Log in, at the third attempt: once with a wrong password, once without the form's token."""
    expect(200, browser.fill_in("/admin/login/", username="ada", password="wrong"))
    expect(403, browser.send("/admin/login/", {"username": "ada", "password": "enigma"}))
    expect(302, browser.fill_in("/admin/login/", username="ada", password="enigma"))
    expect(200, browser.open("/admin/"))


def add_files(browser: Browser) -> None:
    """Upload a picture and a document, and point an old address to the front page."""
    picture = SimpleUploadedFile("dawn.png", a_picture(), "image/png")
    expect(302, browser.fill_in("/admin/images/add/", title="Dawn", file=picture))
    document = SimpleUploadedFile("rules.txt", b"Write well.\n", "text/plain")
    expect(302, browser.fill_in("/admin/documents/add/", title="House rules", file=document))
    expect(302, browser.fill_in("/admin/redirects/add/", old_path="/old", redirect_link="http://localhost/"))


def write_pages(browser: Browser, home: Article) -> None:
    """Write four articles, publish two of them at once, work on the drafts and publish one more."""
    add = f"/admin/pages/add/home/article/{home.pk}/"
    for title in ("News", "Weather"):
        expect(302, browser.fill_in(add, title=title, slug=title.lower(), body="First words.", action_publish="on"))
    for title in ("Letters", "Chess"):
        expect(302, browser.fill_in(add, title=title, slug=title.lower(), body="To be written."))
    for words in ("A draft.", "A better draft."):
        expect(302, browser.fill_in(edit("letters"), body=words))
    expect(302, browser.fill_in(edit("letters"), body="Dear editor!", action_publish="on"))
    picture = str(Image.objects.get().pk)
    expect(
        302, browser.fill_in(edit("news"), title="Good news", slug="good-news", picture=picture, action_publish="on")
    )


def rearrange_pages(browser: Browser, home: Article) -> None:
    """Move, copy, unpublish and delete pages."""
    news, weather, letters = (page_at(slug).pk for slug in ("good-news", "weather", "letters"))
    expect(302, browser.fill_in(f"/admin/pages/{letters}/move/{news}/confirm/"))
    copy = {"new_title": "Old news", "new_slug": "old-news", "new_parent_page": home.pk, "copy_subpages": "on"}
    expect(302, browser.fill_in(f"/admin/pages/{news}/copy/", **copy, publish_copies="on"))
    expect(302, browser.fill_in(f"/admin/pages/{weather}/unpublish/"))
    expect(302, browser.fill_in(f"/admin/pages/{page_at('old-news').pk}/delete/"))


def moderate(browser: Browser) -> None:
    """Send a draft through the moderators' workflow, which publishes it when it is approved."""
    expect(302, browser.fill_in(edit("chess"), body="White to move.", action_submit="on"))
    [state] = page_at("chess").workflow_states.all()
    task = state.current_task_state.pk
    expect(302, browser.press(f"/admin/pages/workflow/action/{page_at('chess').pk}/approve/{task}/"))


def visit(browser: Browser) -> None:
    """Read what was written, as any visitor may; one page is missing, one fails."""
    for path in ("/", "/good-news/", "/good-news/letters/", "/chess/"):
        expect(200, browser.open(path))
    for path in ("/old/", "/news/", "/letters/"):
        expect(301, browser.open(path))
    expect(404, browser.open("/weather/"))
    expect(200, browser.open(Document.objects.get().url))
    expect(500, browser.open("/admin/failwhale/"))


def add_an_editor(browser: Browser) -> None:
    """Give a second person an account, and then put it into a group."""
    person = {"username": "bob", "email": "bob@example.com", "first_name": "Bob", "last_name": "Jones"}
    password = {"password1": "enigma-two", "password2": "enigma-two"}
    expect(302, browser.fill_in("/admin/users/new/", **person, **password))
    bob = User.objects.get(username="bob")
    expect(302, browser.fill_in(f"/admin/users/edit/{bob.pk}/", groups=["1"]))


def log_out(browser: Browser) -> None:
    """Log out; the admin is closed again."""
    expect(302, browser.press("/admin/logout/"))
    expect(302, browser.open("/admin/"))


def edit(slug: str) -> str:
    """Return the address at which a page is edited."""
    return f"/admin/pages/{page_at(slug).pk}/edit/"


def page_at(slug: str) -> Any:
    """Return the page with a slug."""
    return Page.objects.get(slug=slug).specific


def a_picture() -> bytes:
    """Return a small PNG."""
    buffer = io.BytesIO()
    Drawing.new("RGB", (64, 48), "tomato").save(buffer, "PNG")
    return buffer.getvalue()


def expect(status: int, response: HttpResponse) -> None:
    """Stop the day when it does not go as it should."""
    if response.status_code != status:
        raise AssertionError(
            f"{status} was expected, not {response.status_code}: {response.getvalue().decode()[:20_000]}"
        )
