"""An extension that keeps a price list. All it does it does in receivers of Scrapy's signals."""

from scrapy import Request, signals
from scrapy.exceptions import DontCloseSpider
from scrapy.utils.defer import maybe_deferred_to_future


def pause(seconds):
    """Wait without holding up the crawl, as a receiver does that asks a database or a service."""
    from twisted.internet import reactor, task  # importing it chooses the reactor, so not at the top

    return task.deferLater(reactor, seconds, lambda: None)


class PriceList:
    def __init__(self, crawler):
        self.crawler = crawler
        self.prices = {}
        self.without_price = []

    @classmethod
    def from_crawler(cls, crawler):
        extension = cls(crawler)
        for signal, receiver in [
            (signals.spider_opened, extension.begin),
            (signals.request_scheduled, extension.check_request),
            (signals.response_received, extension.check_response),
            (signals.item_scraped, extension.write_down),
            (signals.item_dropped, extension.note_dropped),
            (signals.spider_idle, extension.ask_for_dessert),
            (signals.spider_closed, extension.publish),
        ]:
            crawler.signals.connect(receiver, signal=signal)
        return extension

    def begin(self, spider):
        spider.logger.info("the price list is open")

    def check_request(self, request):
        assert request.url.startswith("http")

    def check_response(self, response):
        """Fails for the page that is not there; Scrapy logs that and goes on."""
        if response.status != 200:
            raise LookupError(f"no such page: status {response.status}")

    async def write_down(self, item):
        """A coroutine: the crawl goes on while it waits."""
        await maybe_deferred_to_future(pause(0.02))
        self.prices[item["pizza"]] = item["price"]

    def note_dropped(self, item):
        self.without_price.append(item["pizza"])

    def ask_for_dessert(self, spider):
        """Has one more page crawled, and answers with an exception, as Scrapy has it: that is no failure."""
        if "tiramisu" not in self.prices:
            url = spider.start_urls[0] + "tiramisu"
            self.crawler.engine.crawl(Request(url, callback=spider.parse_pizza))
            raise DontCloseSpider

    def publish(self, spider):
        """Returns a Deferred, as receivers did before coroutines: the spider is closed once it has fired."""
        return pause(0.05).addCallback(self._write, spider)

    def _write(self, _, spider):
        spider.logger.info("%s prices, %s without one", len(self.prices), len(self.without_price))
        self.crawler.stats.set_value("prices", dict(sorted(self.prices.items())))
