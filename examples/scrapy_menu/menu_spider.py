"""The spider, and the pipeline that its items pass."""

import scrapy
from scrapy.exceptions import DropItem


class MenuSpider(scrapy.Spider):
    name = "menu"

    def parse(self, response):
        yield from response.follow_all(css="a", callback=self.parse_pizza)

    def parse_pizza(self, response):
        yield {"pizza": response.css("h1::text").get(), "price": response.css(".price::text").get()}


class Priced:
    """Drops what has no price."""

    def process_item(self, item):
        if item["price"] is None:
            raise DropItem(f"{item['pizza']} has no price")
        return item
