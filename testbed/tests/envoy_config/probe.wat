;; A proxy-wasm filter that decides nothing and logs what a filter can see.
;;
;; Log lines are `CALLBACK PROPERTY=VALUE`, CALLBACK being C (configure), H (request
;; headers), N (new connection), D (first data from the peer), U (first data from the
;; upstream); with no value if the property is not there. C logs the configuration.
(module
  (import "env" "proxy_log" (func $log (param i32 i32 i32) (result i32)))
  (import "env" "proxy_get_property"
    (func $get_property (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_get_buffer_bytes"
    (func $get_buffer (param i32 i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_define_metric"
    (func $define_metric (param i32 i32 i32 i32) (result i32)))
  (import "env" "proxy_increment_metric" (func $increment (param i32 i64) (result i32)))

  (memory (export "memory") 64)
  ;; Where the host's next answer goes; each callback starts over.
  (global $free (mut i32) (i32.const 0x10000))
  ;; Bits for the callbacks D and U that have been logged; for one connection at a time.
  (global $seen (mut i32) (i32.const 0))

  (data (i32.const 0x100) "source\00address")
  (data (i32.const 0x120) "connection\00uri_san_peer_certificate")
  (data (i32.const 0x160) "filter_state\00meshwall.peer_uri_sans")
  (data (i32.const 0x1a0) "filter_state\00meshwall.peer_address")
  (data (i32.const 0x1e0) "connection\00requested_server_name")
  (data (i32.const 0x220)
    "metadata\00filter_metadata\00envoy.filters.http.jwt_authn\00payload\00sub")
  (data (i32.const 0x300) "meshwall_probe_total;verdict=deny;rule=shop/front.end:r7")

  (func (export "proxy_abi_version_0_2_1"))
  (func (export "_initialize"))
  (func $allocate (export "proxy_on_memory_allocate") (param $size i32) (result i32)
    (local $at i32)
    (local.set $at (global.get $free))
    (global.set $free (i32.add (global.get $free) (local.get $size)))
    (local.get $at))

  ;; Logs `CALLBACK PATH=VALUE`; the line is put together at 0x1000.
  (func $show (param $callback i32) (param $path i32) (param $length i32)
    (local $end i32)
    (global.set $free (i32.const 0x10000))
    (i32.store8 (i32.const 0x1000) (local.get $callback))
    (i32.store8 (i32.const 0x1001) (i32.const 32))
    (memory.copy (i32.const 0x1002) (local.get $path) (local.get $length))
    (local.set $end (i32.add (i32.const 0x1002) (local.get $length)))
    (i32.store8 (local.get $end) (i32.const 61))
    (local.set $end (i32.add (local.get $end) (i32.const 1)))
    (if (i32.eqz (call $get_property
          (local.get $path) (local.get $length) (i32.const 0x80) (i32.const 0x84)))
      (then
        (memory.copy
          (local.get $end) (i32.load (i32.const 0x80)) (i32.load (i32.const 0x84)))
        (local.set $end (i32.add (local.get $end) (i32.load (i32.const 0x84))))))
    (drop (call $log
      (i32.const 3) (i32.const 0x1000) (i32.sub (local.get $end) (i32.const 0x1000)))))

  (func $show_all (param $callback i32)
    (call $show (local.get $callback) (i32.const 0x100) (i32.const 14))
    (call $show (local.get $callback) (i32.const 0x120) (i32.const 35))
    (call $show (local.get $callback) (i32.const 0x160) (i32.const 35))
    (call $show (local.get $callback) (i32.const 0x1a0) (i32.const 34))
    (call $show (local.get $callback) (i32.const 0x1e0) (i32.const 32))
    (call $show (local.get $callback) (i32.const 0x220) (i32.const 65)))

  (func $show_once (param $callback i32) (param $bit i32)
    (if (i32.eqz (i32.and (global.get $seen) (local.get $bit)))
      (then
        (global.set $seen (i32.or (global.get $seen) (local.get $bit)))
        (call $show_all (local.get $callback)))))

  (func (export "proxy_on_context_create") (param i32 i32))
  (func (export "proxy_on_vm_start") (param i32 i32) (result i32) (i32.const 1))
  (func (export "proxy_on_configure") (param i32) (param $size i32) (result i32)
    (global.set $free (i32.const 0x10000))
    (drop (call $get_buffer
      (i32.const 7) (i32.const 0) (local.get $size) (i32.const 0x80) (i32.const 0x84)))
    (i32.store16 (i32.const 0x1000) (i32.const 0x2043))
    (memory.copy
      (i32.const 0x1002) (i32.load (i32.const 0x80)) (i32.load (i32.const 0x84)))
    (drop (call $log
      (i32.const 3) (i32.const 0x1000)
      (i32.add (i32.const 2) (i32.load (i32.const 0x84)))))
    (drop (call $define_metric (i32.const 0) (i32.const 0x300) (i32.const 56) (i32.const 0x88)))
    (i32.const 1))

  (func (export "proxy_on_request_headers") (param i32 i32 i32) (result i32)
    (drop (call $increment (i32.load (i32.const 0x88)) (i64.const 1)))
    (call $show_all (i32.const 72))
    (i32.const 0))
  (func (export "proxy_on_new_connection") (param i32) (result i32)
    (global.set $seen (i32.const 0))
    (call $show_all (i32.const 78))
    (i32.const 0))
  (func (export "proxy_on_downstream_data") (param i32 i32 i32) (result i32)
    (call $show_once (i32.const 68) (i32.const 1))
    (i32.const 0))
  (func (export "proxy_on_upstream_data") (param i32 i32 i32) (result i32)
    (call $show_once (i32.const 85) (i32.const 2))
    (i32.const 0)))
