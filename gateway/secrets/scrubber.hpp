#pragma once
// Takes secrets out of what comes back from a host that they are bound to. Pure.
//
// Known forms: the value in any letter case, each byte of it as it is, percent-encoded, behind a backslash (JSON) or as
// a character reference of HTML; the value within Base64, wherever it begins there (HTTP Basic: "user:value"), in both
// alphabets and cut into lines; the value in hexadecimal. In its place comes the placeholder, in the same encoding, or
// "[secret NAME]".
//
// Somebody who chooses what a host sends back can tell by what is held back, and when, whether it begins as the value
// does, and so guess one byte after the other. From the middle of the value on this leaves traces: a text that agrees
// so far and then differs is replaced as well, as far as it agrees, and PatternSet counts at how many places that was.

#include "gateway/secrets/replacer.hpp"
#include "gateway/secrets/store.hpp"

namespace sallyport::secrets {

/// Of values shorter than that no Base64 and no hexadecimal form is looked for: such texts occur by chance.
inline constexpr std::size_t kMinEncoded = 5;

/// The most of a value's beginning that may go before it is known for one; an eighth of the shortest value at most.
inline constexpr std::size_t kMayGo = 3;

/// The least of a value that is worth a trace: texts that agree for less occur by chance. Half of it, if that is more:
/// tokens of one kind share their beginnings (the header of a JWT), and the other half is enough not to be guessed.
inline constexpr std::size_t kMinNear = 8;

/// Both must outlive it. It is in OpenSSL's secure heap, as the value is. Throws StartupError: that is full.
std::shared_ptr<const PatternSet> forms_of(const policy::SecretRule&, const SecretValue&);

/// Refers to the secrets, which must outlive it.
Replacer scrubber(const std::vector<BoundSecret>& bound);

/// Why no response of a host that has these may be passed on until they are read anew; empty: they may.
std::string guessed(const std::vector<BoundSecret>& bound);

}  // namespace sallyport::secrets
