#include "gateway/app/doctor.hpp"

#include <fmt/format.h>

#include "gateway/app/doctor/judge.hpp"
#include "gateway/app/doctor/probes.hpp"

namespace sallyport::app {

int doctor() {
    doctor::Observations seen;
    seen.uplinks = doctor::find_uplinks();
    seen.attempts = doctor::try_egress(seen.uplinks);
    doctor::probe_privileges(seen);
    doctor::probe_neighbours(seen);
    const auto diagnosis = doctor::judge(seen);
    fmt::print("{}", doctor::to_string(diagnosis));
    return diagnosis.contained() ? 0 : 1;
}

}  // namespace sallyport::app
