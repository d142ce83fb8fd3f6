import { defineConfig } from "vitest/config";

// The output is committed: scripts/web proves in CI that it is what these sources build.
export default defineConfig({
  base: "./",
  oxc: { jsx: { runtime: "automatic", importSource: "preact" } },
  build: {
    outDir: "../service/web/page",
    emptyOutDir: true,
    target: "es2022",
    assetsDir: "assets",
    // An inlined asset would be a data: URL, which the content security policy refuses for scripts and fonts.
    assetsInlineLimit: 0,
    modulePreload: false,
    // The licences of what is built in go with it.
    license: { fileName: "LICENSES.md" },
    reportCompressedSize: false,
    chunkSizeWarningLimit: 1500,
  },
  server: {
    proxy: Object.fromEntries(
      [
        "bundle", "candidates", "channels", "drift", "events", "feedback", "labels", "latent-map",
        "predict", "reconstruct", "retrain", "thumbnails", "versions", "docs", "openapi.json", "metrics",
      ].map((route) => [`/${route}`, "http://127.0.0.1:3000"]),
    ),
  },
  test: { include: ["tests/**/*.test.ts"], setupFiles: ["tests/setup.ts"] },
});
