#include "container/own_cgroup.hpp"

#include <doctest/doctest.h>

using sallyport::container::is_of_one_container;

TEST_CASE("own cgroup: cgroup v2 alone, and both versions with the container's path, are the container's own") {
    CHECK(is_of_one_container("0::/\n"));
    CHECK(is_of_one_container("0::/system.slice/docker-4f.scope\n"));
    CHECK(is_of_one_container("9:name=systemd:/docker/4f\n8:pids:/docker/4f\n0::/docker/4f\n"));
    CHECK(is_of_one_container("9:name=systemd:/\n8:pids:/\n4:memory:/elsewhere\n0::/one\n"));
}

TEST_CASE("own cgroup: an engine that makes containers cgroups of version 1 only leaves all of them in its own") {
    CHECK_FALSE(
        is_of_one_container("9:name=systemd:/docker/4f\n8:pids:/docker/4f\n0::/system.slice/containerd.service\n"));
    CHECK_FALSE(is_of_one_container("9:name=systemd:/docker/4f\n0::/\n"));
    CHECK_FALSE(is_of_one_container("9:name=systemd:/\n0::/../../system.slice/containerd.service\n"));
}
