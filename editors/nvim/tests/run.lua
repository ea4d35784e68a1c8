--- Tests of the plugin in this Neovim: `nvim --clean -l tests/run.lua`.
--- `BIGQUILL` names the server and `BIGQUILL_TEST_MODELS` the folder with its model; without the first
--- only the tests that need no server run (`test.sh` always gives both).

local here = vim.fs.dirname(vim.fs.abspath(arg[0]))
package.path = here .. '/?.lua;' .. package.path

local harness = require('harness')
local plugin = vim.fs.dirname(here)

require('plugin_test')(harness, plugin)
if (vim.env.BIGQUILL or '') ~= '' then
  require('server_test')(harness, plugin)
end

harness.finish()
