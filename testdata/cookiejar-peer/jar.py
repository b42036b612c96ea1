"""Writes a cookie jar with Python's own http.cookiejar, as the open iCloud
clients do, for the tests of doctor/icloud/clients to read.

    jar.py FILE keep|drop < cookies.json

The cookies are a list of objects: name, value, domain, and expires (seconds
since 1970) or none for a session cookie. "keep" saves expired cookies too, as
icloudpd does; "drop" leaves them out, as pyicloud does.
"""

import json
import sys
from http.cookiejar import Cookie, LWPCookieJar


def main():
    path, expired = sys.argv[1:]
    jar = LWPCookieJar(path)
    for c in json.load(sys.stdin):
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
    jar.save(ignore_discard=True, ignore_expires=expired == "keep")


main()
