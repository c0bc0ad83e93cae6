#pragma once
// Takes secrets out of what comes back from a host that they are bound to. Pure.
//
// Known forms: the value in any letter case, each byte of it as it is, percent-encoded, behind a backslash (JSON) or as
// a character reference of HTML; the value within Base64, wherever it begins there (HTTP Basic: "user:value"), in both
// alphabets and cut into lines; the value in hexadecimal. In its place comes the placeholder, in the same encoding, or
// "[secret NAME]".

#include "gateway/secrets/replacer.hpp"
#include "gateway/secrets/store.hpp"

namespace sallyport::secrets {

/// Of values shorter than that no Base64 and no hexadecimal form is looked for: such texts occur by chance.
inline constexpr std::size_t kMinEncoded = 5;

/// The most of a value's beginning that may go before it is known for one; an eighth of the shortest value at most.
inline constexpr std::size_t kMayGo = 3;

/// Both must outlive it.
std::shared_ptr<const PatternSet> forms_of(const policy::SecretRule&, const SecretValue&);

/// Refers to the secrets, which must outlive it.
Replacer scrubber(const std::vector<BoundSecret>& bound);

}  // namespace sallyport::secrets
