"""Crawl the menu and print what came of it.

python crawl.py                  # on asyncio
python crawl.py --select         # on a reactor of Twisted's own
heliograph run crawl.py          # and see what the signals did
"""

import json
import sys

from menu_site import serve
from menu_spider import MenuSpider
from scrapy.crawler import CrawlerProcess

REACTORS = {
    "asyncio": "twisted.internet.asyncioreactor.AsyncioSelectorReactor",
    "select": "twisted.internet.selectreactor.SelectReactor",
}
TOLD = (
    "prices",
    "item_scraped_count",
    "item_dropped_count",
    "response_received_count",
    "log_count/ERROR",
    "finish_reason",
)


def main():
    settings = {
        "TWISTED_REACTOR": REACTORS["select" if "--select" in sys.argv else "asyncio"],
        "EXTENSIONS": {"price_list.PriceList": 0, "scrapy.extensions.remote_control.RemoteControl": None},
        "ITEM_PIPELINES": {"menu_spider.Priced": 0},
        "TELNETCONSOLE_ENABLED": False,
        "LOG_LEVEL": "INFO",
    }
    process = CrawlerProcess(settings)
    crawler = process.create_crawler(MenuSpider)
    with serve() as address:
        process.crawl(crawler, start_urls=[address])
        process.start()
    print(json.dumps({name: crawler.stats.get_value(name) for name in TOLD}))


if __name__ == "__main__":
    main()
