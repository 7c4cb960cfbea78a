"""A small Django project that makes Django send each of its signals by doing what sends it.

``python -m signals_site FILE`` does all of it, observed, and writes down what was heard and what was traced.
``python manage.py`` is what it is in any project.
"""
