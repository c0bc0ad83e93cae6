#pragma once
// The doctor's probes. Each tries something that would undo the guard if it worked, and undoes it if it did; what
// changes this process happens in a child. Nothing is sent but to addresses that belong to nobody (RFC 5737, RFC 3849),
// the metadata address and the name servers of resolv.conf. Bounded: a few seconds together.

#include "gateway/app/doctor/observations.hpp"

namespace sallyport::doctor {

std::vector<std::string> find_uplinks();
/// Sends a little of everything, and says what became of it.
std::vector<Attempt> try_egress(const std::vector<std::string>& uplinks);
/// True when a datagram of the calling process leaves: what the probes of identities repeat as somebody else.
bool datagram_leaves();

void probe_privileges(Observations&);
void probe_neighbours(Observations&);

}  // namespace sallyport::doctor
