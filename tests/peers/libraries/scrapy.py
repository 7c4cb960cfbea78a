"""Scrapy's tests of its signals and of what sends most of them: the engine, spiders, pipelines, extensions, whole crawls."""

from __future__ import annotations

from tests.peers.frame import Suite

SUITE = Suite(
    "Scrapy",
    observe=["pydispatcher"],
    arguments=[
        "tests/test_utils_signal.py",
        "tests/test_signals.py",
        "tests/test_signalmanager.py",
        "tests/test_engine.py",
        "tests/test_engine_close_spider.py",
        "tests/test_engine_loop.py",
        "tests/test_engine_stop_download_bytes.py",
        "tests/test_engine_stop_download_headers.py",
        "tests/test_closespider.py",
        "tests/test_crawl.py",
        "tests/test_pipelines.py",
        "tests/test_stats.py",
        "tests/test_spiderstate.py",
        "tests/test_extension_telnet.py",
        "-m",
        "not requires_internet",
    ],
    needs=["decorator==5.2.1", "pytest-twisted==1.14.3"],
    spans=["send_catch_log ", "send_catch_log_async spider_opened", "send_catch_log_deferred "],
    timeout=600,
)
