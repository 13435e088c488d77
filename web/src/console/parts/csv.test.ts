import { describe, expect, it } from "vitest";
import { csv } from "./csv";

describe("csv", () => {
  it("quotes commas, quotes and line ends", () => {
    expect(csv([["a,b", 'say "x"', "1\n2"]])).toBe('"a,b","say ""x""","1\n2"');
  });
  it("defuses formulas", () => {
    expect(csv([["=1+1", "@x", "-2", "plain"]])).toBe("'=1+1,'@x,'-2,plain");
  });
});
