"""heliograph as a Django application: ``INSTALLED_APPS = ["heliograph.contrib.django", ...]``.

Its settings are one dictionary, ``HELIOGRAPH``, with the names of :class:`heliograph.config.Settings` in upper
case: ``HELIOGRAPH = {"LEVEL": "slow", "SLOW": 0.25}``.
"""
