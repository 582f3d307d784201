//! Link arguments do not propagate between packages, so each one with a binary or a test sets the rpath itself.
fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    if let Ok(path) = std::env::var("DEP_TORCH_EXT_RPATH") {
        println!("cargo:rustc-link-arg=-Wl,-rpath,{path}");
    }
}
