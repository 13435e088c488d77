import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { gzipSync } from "node:zlib";
import vue from "@vitejs/plugin-vue";
import type { Plugin } from "vite";
import { defineConfig } from "vitest/config";

const here = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

const OUT = here("../huizhen/static");
const PACKED = /\.(js|mjs|css|html|svg|wasm|json)$/;

/** What PDF pages may need beside the program: character maps of Chinese fonts that are not in the file, and codecs. */
function pdfParts(): Plugin {
  const from = here("node_modules/pdfjs-dist");
  return {
    name: "pdf-parts",
    apply: "build",
    closeBundle() {
      for (const folder of ["cmaps", "standard_fonts"]) cpSync(join(from, folder), join(OUT, "pdf", folder), { recursive: true });
      mkdirSync(join(OUT, "pdf", "wasm"), { recursive: true });
      for (const name of readdirSync(join(from, "wasm")).filter((one) => /\.(wasm|js)$/.test(one))) cpSync(join(from, "wasm", name), join(OUT, "pdf", "wasm", name));
    },
  };
}

/** Beside every text a packed copy: aiohttp sends it to whoever takes gzip, so that a thin line carries a third. */
function packed(): Plugin {
  const walk = (folder: string): void => {
    for (const name of readdirSync(folder)) {
      const path = join(folder, name);
      if (statSync(path).isDirectory()) walk(path);
      else if (PACKED.test(name) && statSync(path).size > 1_400) writeFileSync(`${path}.gz`, gzipSync(readFileSync(path), { level: 9 }));
    }
  };
  return { name: "packed", apply: "build", enforce: "post", closeBundle: { order: "post", sequential: true, handler: () => walk(OUT) } };
}

// The pages are served under a CSP without 'unsafe-inline' and without 'unsafe-eval': nothing may be inlined.
export default defineConfig({
  base: "/static/",
  root: here("."),
  plugins: [vue(), pdfParts(), packed()],
  resolve: {
    alias: [
      { find: "@", replacement: here("./src") },
      { find: /^@kitware\/vtk\.js\/IO\/(XML|Geometry)\/\w+(\.js)?$/, replacement: here("./src/console/imagetable/no-meshes.ts") },
    ],
  },
  define: {
    __VUE_OPTIONS_API__: JSON.stringify(true), // vue-router's own components
    __VUE_PROD_DEVTOOLS__: JSON.stringify(false),
    __VUE_PROD_HYDRATION_MISMATCH_DETAILS__: JSON.stringify(false),
  },
  build: {
    outDir: OUT,
    emptyOutDir: true,
    target: ["es2020", "chrome84", "safari14", "firefox91"],
    cssTarget: ["chrome84", "safari14", "firefox91"],
    assetsInlineLimit: 0,
    modulePreload: { polyfill: true },
    sourcemap: false,
    rollupOptions: { input: { patient: here("patient.html"), console: here("console.html"), check: here("check.html") } },
  },
  test: {
    environment: "happy-dom",
    include: ["src/**/*.test.ts"],
    restoreMocks: true,
  },
});
