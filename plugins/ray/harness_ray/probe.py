"""Whether a Ray cluster answers at an address: a process of its own, which others can end and whose words they read.

Ray itself would try for minutes there, and its C++ part writes to stderr, or ends the process.
"""

import os
import subprocess
import sys

CLIENT = "ray://"
SECONDS = 30.0  # to import Ray, and to be answered
ANSWER_SECONDS = 10.0
IMPORTED = "imported"  # what the process says before it asks
NO_TOKEN = ("InvalidAuthToken", "UNAUTHENTICATED")
OTHER_PORT = ("Method not found", "UNIMPLEMENTED")  # gRPC, but not what was asked for


def refusal(address: str) -> str:
    """Why the cluster at HOST:PORT or ray://HOST:PORT would not have us, and what to do; empty if it would.

    Empty, too, where Ray was not even imported in time, as from a slow file system: that says nothing of the cluster.
    """
    line = [sys.executable, "-m", __name__, address]
    silent = {**os.environ, "PYTHONWARNINGS": "ignore"}
    try:
        asked = subprocess.run(
            line, env=silent, capture_output=True, text=True, errors="replace", timeout=SECONDS, check=False
        )
    except subprocess.TimeoutExpired as late:
        if IMPORTED.encode() not in (late.stdout or b""):  # bytes, whatever `text` says
            return ""
        return f"what listens there is no Ray cluster, or does not answer within {SECONDS:g} s"
    return _meaning(asked.returncode, asked.stdout + asked.stderr, address)


def _meaning(code: int, said: str, address: str) -> str:
    """What the process found, by what it ended with and said."""
    if code == 0:
        return ""
    if any(sign in said for sign in NO_TOKEN):
        return "it asks for a token, and ours is missing or another: set RAY_AUTH_MODE=token and have its token here"
    if any(sign in said for sign in OTHER_PORT):
        if address.startswith(CLIENT):
            return f"no client server answers there; if it is the port of the head, leave out {CLIENT}"
        return f"no head answers there; if it is the port of the client server, write {CLIENT}{address}"
    if "No module named" in said:
        return said.strip().splitlines()[-1]
    return "what listens there is no Ray cluster"


def ask(address: str) -> None:
    """Raise what Ray raises unless a cluster answers."""
    if not address.startswith(CLIENT):
        from ray._raylet import GcsClient

        print(IMPORTED, flush=True)
        GcsClient(address=address).get_all_node_info(timeout=ANSWER_SECONDS)
        return
    from ray._private.grpc_utils import init_grpc_channel
    from ray.core.generated.ray_client_pb2 import ClusterInfoRequest, ClusterInfoType
    from ray.core.generated.ray_client_pb2_grpc import RayletDriverStub

    print(IMPORTED, flush=True)
    ping = ClusterInfoRequest(type=ClusterInfoType.PING)
    with init_grpc_channel(address.removeprefix(CLIENT)) as channel:
        RayletDriverStub(channel).ClusterInfo(ping, timeout=ANSWER_SECONDS, metadata=[("client_id", "probe")])


if __name__ == "__main__":
    ask(sys.argv[1])
