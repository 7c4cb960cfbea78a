"""The office's diary."""

from django.db import models


class DiaryEntry(models.Model):
    """A line in the diary."""

    text = models.CharField(max_length=200)
    written_at = models.DateTimeField(auto_now_add=True)

    class Meta:
        verbose_name_plural = "diary entries"

    def __str__(self) -> str:
        return self.text
