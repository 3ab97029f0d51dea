from da2k.annotation.push import push
from da2k.annotation.server import Patience, Server

def test_x(studio, campaign):
    server = Server(studio.url, studio.token, Patience(timeout=30, attempts=3, wait=0.05))
    print(push(campaign, server, root=studio.root))
    print(push(campaign, server, root=studio.root))
    print(studio.api("GET","/api/tasks?project=1&fields=all").text[:3000])
