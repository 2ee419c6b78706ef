"""Makes a network with the extensions' SDK for Open Telekom Cloud, as their users do, and tells what it saw."""
import json

import openstack
from otcextensions import sdk

cloud = openstack.connect()
sdk.register_otc_extensions(cloud)
vpc = cloud.vpc.create_vpc(name="cache-vpc", cidr="10.0.0.0/8")
subnet = cloud.vpc.create_subnet(name="cache-subnet", vpc_id=vpc.id, cidr="10.1.0.0/16", gateway_ip="10.1.0.1")
subnet = cloud.vpc.get_subnet(subnet.id)
renamed = cloud.vpc.update_vpc(vpc, name="renamed")
seen = {
    "vpcs": [one.name for one in cloud.vpc.vpcs()],
    "subnets": [one.name for one in cloud.vpc.subnets(vpc_id=vpc.id)],
    "status": [cloud.vpc.get_vpc(vpc.id).status, subnet.status],
    "renamed": renamed.name,
    "found": cloud.network.find_network(subnet.id).id == subnet.id,
}
cloud.vpc.delete_subnet(subnet)
cloud.vpc.delete_vpc(vpc)
seen["left"] = [one.name for one in cloud.vpc.vpcs()]
print(json.dumps(seen))
