#pragma once
// What another container needs to trust our CA, as files in a folder that both see.

#include <string>

namespace sallyport::container {

/// The PEM bundle that this machine trusts: SSL_CERT_FILE, else the system's; "" when there is none.
std::string system_bundle();

/// Writes ca.pem, bundle.pem (system_bundle() and our CA), truststore.jks (the same for Java) and env (the variables
/// that point programs to them, "KEY=VALUE" a line). Each is replaced as a whole, and only when it differs. `directory`
/// is made when it is missing, not its parents. Throws StartupError.
void write_trust_directory(const std::string& directory, const std::string& ca_pem);

}  // namespace sallyport::container
