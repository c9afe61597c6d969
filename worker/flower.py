"""The app for Flower: `celery -A worker.flower flower`. It watches the cluster and takes no part in it."""

from urllib.parse import parse_qsl, urlsplit

from worker import celery

# Kombu makes everyone who listens to anything look for messages whose lease ended, and queue them again. Flower is to
# be able to read, and nothing more: with an app that never holds a message, it needs no right to touch them.
celery.conf.broker_transport_options = celery.conf.broker_transport_options | {"ack_emulation": False}
# Flower asks for the length of the queue by itself, and takes what concerns TLS from this setting, not from the URL.
_broker = urlsplit(celery.broker_address)
if _broker.scheme == "rediss":
    celery.conf.broker_use_ssl = {name: value for name, value in parse_qsl(_broker.query) if name.startswith("ssl_")}
# It looks up results through Celery's default app.
celery.set_default()

__all__ = ["celery"]
