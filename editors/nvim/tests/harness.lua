--- A few words for tests of a real Neovim: a child editor that takes real keys, and conditions
--- instead of pauses. No framework.

local M = { passed = 0, failed = 0 }

--- How long any condition may take. Generous: a model answers on a busy machine.
local PATIENCE_MS = tonumber(vim.env.BIGQUILL_TEST_PATIENCE_MS) or 120000

---@class bigquill.test.Child
---@field channel integer
local Child = {}
Child.__index = Child

--- Starts a Neovim with the plugin on its runtime path, driven over its own stdin and stdout.
---@param plugin string folder of the plugin
---@param setup? string Lua code that runs before the plugin is loaded
---@return bigquill.test.Child
function M.child(plugin, setup)
  local home = vim.fn.tempname()
  vim.fn.mkdir(home, 'p')
  local command = { vim.v.progpath, '--embed', '--headless', '--clean', '-n' }
  local channel = vim.fn.jobstart(command, {
    rpc = true,
    env = {
      XDG_CONFIG_HOME = home .. '/config',
      XDG_DATA_HOME = home .. '/data',
      XDG_STATE_HOME = home .. '/state',
      NVIM_LOG_FILE = home .. '/nvim.log',
      NVIM = '',
    },
  })
  assert(channel > 0, 'the child Neovim did not start')
  local child = setmetatable({ channel = channel, home = home }, Child)
  child:lua('vim.opt.rtp:prepend(...); vim.o.columns = 100; vim.o.lines = 40', plugin)
  child:lua('vim.o.hidden = true; vim.cmd("filetype plugin on")')
  if setup then
    child:lua(setup)
  end
  child:lua('vim.cmd.runtime("plugin/bigquill.lua")')
  return child
end

--- Runs Lua in the child and returns its value.
---@param code string
function Child:lua(code, ...)
  return vim.rpcrequest(self.channel, 'nvim_exec_lua', code, { ... })
end

--- Types keys, as a person would.
---@param keys string
function Child:type(keys)
  vim.rpcrequest(self.channel, 'nvim_input', keys)
end

--- Runs an Ex command.
---@param command string
function Child:command(command)
  return self:lua('return vim.api.nvim_exec2(..., { output = true }).output', command)
end

--- The buffer's lines.
---@return string[]
function Child:lines()
  return self:lua('return vim.api.nvim_buf_get_lines(0, 0, -1, false)')
end

--- The buffer as one text.
---@return string
function Child:text()
  return table.concat(self:lines(), '\n')
end

--- The screen's text, without trailing spaces.
---@return string
function Child:screen()
  return self:lua([[
    vim.cmd.redraw()
    local rows = {}
    for row = 1, vim.o.lines do
      local cells = {}
      for column = 1, vim.o.columns do
        cells[column] = vim.fn.screenstring(row, column)
      end
      rows[row] = (table.concat(cells):gsub('%s+$', ''))
    end
    return table.concat(rows, '\n')
  ]])
end

--- Waits until `condition` holds; fails with `what`, the screen and the messages otherwise.
---@generic T
---@param what string
---@param condition fun(): T?
---@return T
function Child:wait(what, condition)
  local value
  local held = vim.wait(PATIENCE_MS, function()
    value = condition()
    return value ~= nil and value ~= false
  end, 20)
  if not held then
    local messages = self:command('messages')
    error(('waited in vain: %s\nscreen:\n%s\nmessages:\n%s'):format(what, self:screen(), messages), 2)
  end
  return value
end

--- Waits for a condition given as a Lua expression of the child.
---@param what string
---@param expression string
function Child:wait_lua(what, expression, ...)
  local arguments = { ... }
  return self:wait(what, function()
    local value = self:lua('return ' .. expression, unpack(arguments))
    return value ~= vim.NIL and value or nil
  end)
end

--- Ends the child and the servers it started.
function Child:stop()
  pcall(self.lua, self, 'for _, c in ipairs(vim.lsp.get_clients()) do c:stop(true) end')
  vim.fn.jobstop(self.channel)
  vim.fn.jobwait({ self.channel }, 5000)
end

--- Runs one test and counts it.
---@param name string
---@param body fun()
function M.test(name, body)
  local started = vim.uv.hrtime()
  local ok, problem = pcall(body)
  local seconds = (vim.uv.hrtime() - started) / 1e9
  if ok then
    M.passed = M.passed + 1
    io.write(('ok      %s (%.1f s)\n'):format(name, seconds))
  else
    M.failed = M.failed + 1
    io.write(('FAILED  %s (%.1f s)\n%s\n'):format(name, seconds, problem))
  end
  io.flush()
end

--- Fails unless the two are equal.
function M.equal(actual, expected, what)
  if not vim.deep_equal(actual, expected) then
    local message = '%s\nexpected: %s\nactual:   %s'
    error(message:format(what or 'not equal', vim.inspect(expected), vim.inspect(actual)), 2)
  end
end

--- Fails unless `text` contains `part`.
function M.contains(text, part, what)
  if not text:find(part, 1, true) then
    error(('%s\nlooked for: %s\nin: %s'):format(what or 'not contained', part, text), 2)
  end
end

--- Prints the count and ends the process.
function M.finish()
  local version = vim.version()
  io.write(('\n%d passed, %d failed (Neovim %d.%d.%d%s)\n'):format(
    M.passed, M.failed, version.major, version.minor, version.patch,
    version.prerelease and '-dev' or ''
  ))
  io.flush()
  os.exit(M.failed == 0 and 0 or 1)
end

return M
