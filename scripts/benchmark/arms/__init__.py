"""All arms, in the order of the tables."""
from arms.direct import Direct
from arms.haproxy import Haproxy, HaproxyTcp
from arms.mitmproxy import Mitmproxy
from arms.nginx import Nginx, NginxTwoWorkers
from arms.sallyport import Sallyport, SallyportManyRules, SallyportOther, SallyportWithoutSecret
from arms.squid import Squid

ARMS = [Direct, Sallyport, SallyportOther, SallyportWithoutSecret, SallyportManyRules, Nginx, NginxTwoWorkers, Haproxy,
        HaproxyTcp, Squid, Mitmproxy]
