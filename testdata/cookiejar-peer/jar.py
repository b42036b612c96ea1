"""Writes cookie jars with Python's own http.cookiejar, as the open iCloud
clients do, for the tests of doctor/icloud/clients to read.

Each line of the input is one jar, an object: path, keep (whether cookies that
have ended are saved too, as icloudpd does and pyicloud does not) and cookies, a
list of objects: name, value, domain, and expires (seconds since 1970), without
which it is a cookie of the session. Each is answered with a line.
"""

import json
import sys
from http.cookiejar import Cookie, LWPCookieJar


def write(path, keep, cookies):
    jar = LWPCookieJar(path)
    for c in cookies:
        jar.set_cookie(
            Cookie(
                version=0,
                name=c["name"],
                value=c["value"],
                port=None,
                port_specified=False,
                domain=c["domain"],
                domain_specified=True,
                domain_initial_dot=c["domain"].startswith("."),
                path="/",
                path_specified=True,
                secure=True,
                expires=c.get("expires"),
                discard="expires" not in c,
                comment=None,
                comment_url=None,
                rest={"HttpOnly": None},
            )
        )
    jar.save(ignore_discard=True, ignore_expires=keep)


for line in sys.stdin:
    write(**json.loads(line))
    print("written", flush=True)
