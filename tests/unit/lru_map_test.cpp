#include "gateway/base/lru_map.hpp"

#include <doctest/doctest.h>

#include <memory>

using sallyport::LruMap;

TEST_CASE("lru map: never more than its capacity, the least recently used goes") {
    LruMap<int> map(2);
    map.put("a", 1);
    map.put("b", 2);
    REQUIRE(map.find("a") != nullptr);
    map.put("c", 3);
    CHECK(map.size() == 2);
    CHECK(map.find("b") == nullptr);
    CHECK(*map.find("a") == 1);
    CHECK(*map.find("c") == 3);
}

TEST_CASE("lru map: putting a key again replaces its value and evicts nobody") {
    LruMap<std::unique_ptr<int>> map(2);
    map.put("a", std::make_unique<int>(1));
    map.put("b", std::make_unique<int>(2));
    map.put("a", std::make_unique<int>(3));
    CHECK(map.size() == 2);
    CHECK(**map.find("a") == 3);
    CHECK(**map.find("b") == 2);
    map.erase("a");
    map.erase("absent");
    CHECK(map.find("a") == nullptr);
    CHECK(map.size() == 1);
}
