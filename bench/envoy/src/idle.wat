;; A filter that looks at nothing: what is left is the cost of having a module at all.
(module
  (memory (export "memory") 2)
  (global $free (mut i32) (i32.const 1024))

  (func (export "proxy_abi_version_0_2_1"))

  ;; Nothing is given back: the host allocates a few bytes at the start and never again.
  (func (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    global.get $free
    global.get $free
    local.get $size
    i32.add
    global.set $free)

  (func (export "proxy_on_context_create") (param i32 i32))

  (func (export "proxy_on_vm_start") (param i32 i32) (result i32)
    i32.const 1)

  (func (export "proxy_on_configure") (param i32 i32) (result i32)
    i32.const 1)

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    i32.const 0))
