"""The site's only kind of page."""

from __future__ import annotations

from typing import Any, ClassVar

from django.db import models
from wagtail.admin.panels import FieldPanel
from wagtail.images import get_image_model_string
from wagtail.models import Page


class Article(Page):  # type: ignore[misc]  # Wagtail says nothing about its types
    """A page with a text and a picture."""

    body: models.TextField[str, str] = models.TextField(blank=True)
    picture: models.ForeignKey[Any, Any] = models.ForeignKey(
        get_image_model_string(), null=True, blank=True, on_delete=models.SET_NULL, related_name="+"
    )

    content_panels: ClassVar[list[Any]] = [*Page.content_panels, FieldPanel("body"), FieldPanel("picture")]

    def __str__(self) -> str:
        return str(self.title)
