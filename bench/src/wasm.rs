//! The engine in WebAssembly, compiled by Cranelift.

use wasmtime::{Config, Engine, Instance, Module, Store, TypedFunc};

/// A module that decides.
pub struct Wasm {
    store: Store<()>,
    run: TypedFunc<(u32, u32), u32>,
    linear: bool,
}

impl Wasm {
    /// Starts the module with so many rules.
    pub fn new(module: &[u8], rules: usize, linear: bool) -> Wasm {
        let mut config = Config::new();
        config.wasm_exceptions(true);
        let engine = Engine::new(&config).unwrap();
        let module = Module::new(&engine, module).unwrap();
        let mut store = Store::new(&engine, ());
        let instance = Instance::new(&mut store, &module, &[]).unwrap();
        let prepare = instance
            .get_typed_func::<u32, ()>(&mut store, "prepare")
            .unwrap();
        prepare.call(&mut store, rules as u32).unwrap();
        let run = instance.get_typed_func(&mut store, "run").unwrap();
        Wasm { store, run, linear }
    }
}

impl crate::Engine for Wasm {
    fn name(&self) -> &'static str {
        if self.linear {
            "wasm, every rule"
        } else {
            "wasm"
        }
    }

    fn run(&mut self, times: u32) -> u32 {
        let how = if self.linear { 2 } else { 1 };
        self.run.call(&mut self.store, (times, how)).unwrap()
    }

    fn run_nothing(&mut self, times: u32) {
        self.run.call(&mut self.store, (times, 0)).unwrap();
    }
}
