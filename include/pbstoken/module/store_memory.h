// SPDX-License-Identifier: BSD-3-Clause
// The configuration of each store, read once as long as its file stays the
// same: a service makes a PAM handle for each request.
//
// Thread safety: any thread may call the function, and waits for no other one.
#ifndef PBSTOKEN_STORE_MEMORY_H_
#define PBSTOKEN_STORE_MEMORY_H_

#include <string_view>

#include "pbstoken/base/result.h"
#include "pbstoken/store/store.h"

namespace pbstoken {

// Does what load_store() does, but uses what this process remembers where that
// is as good: the same file unchanged, in directories that were root's alone
// not a second ago.
Result<void> recall_store(std::string_view name, const PathText &path,
                          Store *out_store);

}  // namespace pbstoken

#endif  // PBSTOKEN_STORE_MEMORY_H_
