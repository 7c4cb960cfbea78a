"""A small Wagtail site, a day in the life of its editors, and what is left of that day as evidence.

``python -m wagtail_site plain|recorded|observed DIRECTORY`` lives the day and writes the evidence down.
"""
