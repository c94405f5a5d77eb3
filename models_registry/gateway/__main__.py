"""`python -m models_registry.gateway <fd>`: serve on an inherited listening socket. `manage.py gateway` is the front door."""

import os
import socket
import sys

import uvicorn


def main(descriptor: int) -> None:
    os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings_gateway"
    listening = socket.socket(fileno=descriptor)
    config = uvicorn.Config(
        "config.asgi_gateway:application",
        lifespan="off",
        access_log=False,
        log_level="info",
        server_header=False,
        timeout_keep_alive=30,
        timeout_graceful_shutdown=30,
    )
    uvicorn.Server(config).run(sockets=[listening])


if __name__ == "__main__":
    main(int(sys.argv[1]))
