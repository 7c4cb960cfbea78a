from blinker import Namespace

_signals = Namespace()

order_placed = _signals.signal("order-placed")  # sent by a branch, with send
bread_baked = _signals.signal("bread-baked")  # sent by a branch, with send_async
coupon_used = _signals.signal("coupon-used")
flour_low = _signals.signal("flour-low")  # nobody listens to this one
