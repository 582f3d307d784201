// Error handling shared by the shim's translation units.
#pragma once
#include <exception>
#include <stdexcept>
#include <string>

std::string& tx_error();

template <typename F>
int tx_guard(F&& body) {
  try {
    body();
    return 0;
  } catch (const std::exception& e) {
    // what_without_backtrace would be shorter, but only c10::Error has it: keep the first line.
    std::string text = e.what();
    tx_error() = text.substr(0, text.find('\n'));
    return 1;
  } catch (...) {
    tx_error() = "unknown C++ exception";
    return 1;
  }
}
