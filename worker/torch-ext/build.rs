//! Compiles the C++ shim and hands libtorch's folder to dependents, whose binaries need it as an rpath.
fn main() {
    println!("cargo:rerun-if-changed=cpp");
    println!("cargo:rerun-if-env-changed=LIBTORCH");
    let Some(libtorch) = std::env::var_os("LIBTORCH").map(std::path::PathBuf::from) else {
        println!(
            "cargo::error=LIBTORCH is not set: build inside the repository, whose .cargo/config.toml sets it"
        );
        return;
    };
    let include = libtorch.join("include");
    if !include.is_dir() {
        println!("cargo::error={} does not exist: run `make setup` first", include.display());
        return;
    }
    cc::Build::new()
        .cpp(true)
        .std("c++20")
        .files(["cpp/shim.cpp", "cpp/dropout.cpp", "cpp/layers.cpp"])
        .include(&include)
        .include(include.join("torch/csrc/api/include"))
        .warnings(false) // libtorch's headers warn; the shim's own code is small
        .opt_level(3) // these are kernels: a debug build of them measures nothing
        .flag("-fopenmp") // at::parallel_for is a header template over OpenMP
        .compile("torch_ext");
    let lib = libtorch.join("lib");
    println!("cargo:rustc-link-arg=-Wl,-rpath,{}", lib.display());
    println!("cargo:rpath={}", lib.display());
}
