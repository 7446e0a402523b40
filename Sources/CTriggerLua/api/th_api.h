// What scripts call of the host: ctx, stores, intents, print. All raise.
#ifndef TH_API_H
#define TH_API_H

#include "tree/th_tree.h"

// --- th_unknown.c
extern const char *const th_ctx_fields[];  // names of fields that are no methods; NULL after the last
// __index of a table of methods: (methods, key) raises "X has no field 'y'; did you mean 'z'?".
// upvalue 1: the word for X.
int th_unknown_field(lua_State *L);

// --- th_intent.c
// UTF-8 text of 1 to 1024 bytes at index; `what` begins the error text.
const char *th_check_key(lua_State *L, int index, size_t *length, const char *what);
// Begins an intent: the value is to be appended to output->bytes; th_prepared ends it and pushes it.
// The pointer is valid until the next call that may grow output->intents.
th_intent *th_prepare(lua_State *L, int kind, void *store, const char *key, size_t key_length);
int th_prepared(lua_State *L);
int th_intent_tostring(lua_State *L);
int th_intent_fields(lua_State *L);        // (intent): {kind, store, key, value}, or nil
void th_collect_returned(lua_State *L, int index);  // fills output->returned

// --- th_store.c
typedef struct th_seen_version { void *store; int64_t seq; } th_seen_version;
void th_open_stores(lua_State *L);         // metatable parts of store objects
int th_ctx_store(lua_State *L);            // ctx:store(name)
void th_push_store_methods(lua_State *L);  // a new table of a store's methods and fields
// Pushes the name of a store handle, "?" when unknown.
void th_push_store_name(lua_State *L, const void *handle);

// --- th_api.c
void th_open_streams(lua_State *L);        // io and debug, what there is of them, into the table on top
void th_open_api(lua_State *L);            // print; ctx and the metatable of intents in the registry

#endif
