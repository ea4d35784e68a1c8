--- `:checkhealth bigquill`.

local M = {}

local health = vim.health
local TIMEOUT_MS = 20000

--- Reports on Neovim, the options, the server and its surroundings.
function M.check()
  health.start('bigquill: Neovim')
  M.neovim()
  health.start('bigquill: server')
  if M.server() then
    health.start('bigquill: workspace')
    M.workspace()
    health.start('bigquill: doctor')
    M.doctor()
  end
end

function M.neovim()
  local version = tostring(vim.version())
  if vim.fn.has('nvim-0.11') == 1 then
    health.ok('Neovim ' .. version)
  else
    health.error('Neovim ' .. version .. ' is too old', 'Install 0.11 or newer')
  end
  local own = vim.fn.has('nvim-0.12') == 0
  health.info('ghost text: ' .. (own and "the plugin's own" or 'vim.lsp.inline_completion'))
  for _, problem in ipairs(require('bigquill.options').problems()) do
    health.warn(problem, 'See :help bigquill-options')
  end
end

---@return boolean found
function M.server()
  local executable = require('bigquill').executable()
  if vim.fn.executable(executable) == 0 then
    health.error(('%q is no executable'):format(executable), {
      'Put `bigquill` on the PATH: cargo install --path server',
      "or name it: vim.lsp.config('bigquill', { cmd = { '/path/to/bigquill' } })",
    })
    return false
  end
  local result = M.run({ executable, '--version' })
  if result.code ~= 0 then
    health.error(('%s --version ends with %d'):format(executable, result.code), result.stderr)
    return false
  end
  health.ok(('%s (%s)'):format(vim.trim(result.stdout), vim.fn.exepath(executable)))
  local clients = vim.lsp.get_clients({ name = 'bigquill' })
  if #clients > 0 then
    health.ok(('running, %d of it'):format(#clients))
  elseif vim.lsp.is_enabled('bigquill') then
    health.info('not running: it starts with the first SQL buffer')
  else
    health.warn('not enabled', "Call vim.lsp.enable('bigquill')")
  end
  return true
end

function M.workspace()
  local root = M.root()
  if root then
    health.ok('configuration: ' .. vim.fs.joinpath(root, 'bigquill.toml'))
  else
    health.info('no bigquill.toml above the working directory; settings come from Neovim alone')
  end
end

--- What the server itself says about its device, model, catalog and BigQuery access.
function M.doctor()
  local result = M.run({ require('bigquill').executable(), 'doctor' }, M.root())
  if vim.trim(result.stdout) == '' then
    health.error(('bigquill doctor ends with %d'):format(result.code), result.stderr)
    return
  end
  M.relay(vim.split(vim.trim(result.stdout), '\n', { plain = true }))
end

--- Reports the doctor's lines: a section, then its items as `ok`, `-` or `!`, with remedies after an arrow.
---@param lines string[]
function M.relay(lines)
  local section, report, text, remedies = '', nil, nil, {}
  local function flush()
    if report and text then
      report(('%s: %s'):format(section, text), #remedies > 0 and remedies or nil)
    end
    report, text, remedies = nil, nil, {}
  end
  local reports = { ok = health.ok, ['!'] = health.error, ['-'] = M.lack }
  for _, line in ipairs(lines) do
    local mark, item = line:match('^  (%S+)%s+(.*)')
    local remedy = line:match('^%s+→%s*(.*)')
    if remedy then
      table.insert(remedies, remedy)
    elseif mark and reports[mark] then
      flush()
      report, text = reports[mark], item
    elseif not line:match('^%s') then
      flush()
      section = line
    else
      text = (text or '') .. ' ' .. vim.trim(line)
    end
  end
  flush()
end

--- Something that is not there and need not be: no warning.
---@param text string
---@param remedies? string[]
function M.lack(text, remedies)
  health.info(table.concat(vim.list_extend({ text }, remedies or {}), '; '))
end

--- The nearest folder with a configuration file.
---@return string?
function M.root()
  local client = vim.lsp.get_clients({ name = 'bigquill' })[1]
  local from = client and client.root_dir or vim.uv.cwd()
  return vim.fs.root(from, 'bigquill.toml')
end

---@param command string[]
---@param cwd? string
---@return { code: integer, stdout: string, stderr: string }
function M.run(command, cwd)
  local ok, process = pcall(vim.system, command, {
    cwd = cwd,
    env = { NO_COLOR = '1' },
    text = true,
    timeout = TIMEOUT_MS,
  })
  if not ok then
    return { code = -1, stdout = '', stderr = tostring(process) }
  end
  local result = process:wait()
  return { code = result.code, stdout = result.stdout or '', stderr = result.stderr or '' }
end

return M
