"""Changes, archives and finds a channel with the newest published client.

    python note_on_channels.py HOST:PORT API_KEY

Prints what it gets back as JSON; the server has one channel, `speed`.
"""

import json
import sys

from sift_client import SiftClient, SiftConnectionConfig

address, api_key = sys.argv[1:3]
client = SiftClient(
    connection_config=SiftConnectionConfig(
        grpc_url=address, rest_url=f"http://{address}", api_key=api_key, use_ssl=False
    )
)
channels = client.channels
speed = channels.find(name="speed")


def shown(channel):
    return [channel.description, channel.unit, channel.metadata, channel.is_archived]


found = {"before": shown(speed)}
changes = {
    "description": "of both wheels",
    "unit": "km/h",
    "metadata": {"gain": 2.5, "side": "left", "spare": True},
    "is_archived": True,
}
for name, value in changes.items():
    found[name] = shown(channels.update(speed, {name: value}))
found["archived"] = [len(channels.list_(archived=one)) for one in (None, True, False)]
channels.unarchive([speed])
found["back"] = [len(channels.list_(archived=one)) for one in (None, True, False)]
channels.archive([speed])
found["described"] = [one.name for one in channels.list_(description_contains="wheels")]
found["with metadata"] = [one.name for one in channels.list_(filter_query="metadata.gain == 2.5")]
found["got"] = shown(channels.get(channel_id=speed.id_))
print(json.dumps(found))
