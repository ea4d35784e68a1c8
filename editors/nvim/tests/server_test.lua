--- The plugin against the real server and its default model, in a copy of the fixture workspace.

return function(harness, plugin)
  local test, equal, contains = harness.test, harness.equal, harness.contains
  local fixtures = vim.fs.normalize(plugin .. '/../../fixtures')

  --- A fresh copy of the workspace: `questions/` beside the catalogs that its configuration names.
  local function workspace()
    local root = vim.fn.tempname()
    for _, folder in ipairs({ 'questions', 'catalogs' }) do
      vim.fn.mkdir(root .. '/' .. folder, 'p')
      for name in vim.fs.dir(fixtures .. '/' .. folder) do
        local from = ('%s/%s/%s'):format(fixtures, folder, name)
        assert(vim.uv.fs_copyfile(from, ('%s/%s/%s'):format(root, folder, name)))
      end
    end
    return root .. '/questions'
  end

  local folder = workspace()
  local child = harness.child(plugin, ([[
    vim.cmd.cd(%q)
    vim.lsp.config('bigquill', { cmd = { %q }, cmd_env = { BIGQUILL_CACHE = %q } })
  ]]):format(folder, vim.env.BIGQUILL, vim.fs.dirname(vim.env.BIGQUILL_TEST_MODELS)))

  --- Opens a file of the workspace, with these lines when given, and waits for the server.
  local function open(name, lines)
    local file = folder .. '/' .. name
    if lines then
      vim.fn.writefile(lines, file)
    end
    child:type('<Esc>')
    child:wait_lua('normal mode', "vim.fn.mode() == 'n'")
    child:command('edit! ' .. file)
    child:wait_lua('the server attaches', "#vim.lsp.get_clients({ bufnr = 0, name = 'bigquill' }) == 1")
  end

  local function cursor_on(text)
    local row = child:lua('return vim.fn.search(..., "cw")', [[\V]] .. text)
    assert(row > 0, 'no line with ' .. text)
    child:lua('vim.api.nvim_win_set_cursor(0, { ..., 0 })', row)
    return row
  end

  --- The lines of the statement below row `row`, up to its semicolon or a blank line.
  local function below(row)
    local statement = {}
    for index = row + 1, #child:lines() do
      local line = child:lines()[index]
      if line == '' then
        break
      end
      table.insert(statement, line)
    end
    return table.concat(statement, '\n')
  end

  local function idle()
    child:wait_lua('no work is running', 'next(vim.lsp.get_clients()[1].progress.pending) == nil')
  end

  local function busy()
    child:wait_lua('work is running', 'next(vim.lsp.get_clients()[1].progress.pending) ~= nil')
  end

  test('a misspelled column is reported, and its quick fix corrects it', function()
    open('misspelled.sql', { '-- 😀 é', 'SELECT emial', 'FROM shop.customers;' })
    local found = child:wait_lua('a diagnostic', 'vim.diagnostic.get(0)[1]')
    equal({ found.lnum, found.col, found.end_col }, { 1, 7, 12 }, found.message)
    equal(found.code, 'unknown-column')
    contains(found.message .. vim.inspect(found.user_data), 'email')
    child:lua([[vim.api.nvim_win_set_cursor(0, { 2, 8 })
      vim.lsp.buf.code_action({ apply = true, filter = function(action) return action.isPreferred end })]])
    child:wait_lua('the fix', "vim.fn.getline(2) == 'SELECT email'")
    child:wait_lua('no diagnostic', '#vim.diagnostic.get(0) == 0')
  end)

  test('the code action writes SQL below the comment; undo is one step', function()
    open('questions.sql')
    local before = child:lines()
    local row = cursor_on('-- number of customers per country')
    child:lua([[vim.lsp.buf.code_action({ apply = true, filter = function(action)
      return action.title == 'Generate SQL from comment' end })]])
    child:wait('SQL below the comment', function()
      return below(row):find('SELECT', 1, true)
    end)
    contains(below(row):lower(), 'country')
    equal(vim.list_slice(child:lines(), 1, row), vim.list_slice(before, 1, row), 'what stands above is untouched')
    local tail = #before - row
    local lines = child:lines()
    equal(vim.list_slice(lines, #lines - tail + 1), vim.list_slice(before, row + 1), 'what stands below is untouched')
    idle()
    equal(child:lua('return #vim.diagnostic.get(0, { severity = vim.diagnostic.severity.ERROR })'), 0)
    child:type('u')
    child:wait('undone', function()
      return vim.deep_equal(child:lines(), before)
    end)
    child:type('<C-r>')
    child:wait('redone', function()
      return vim.deep_equal(child:lines(), lines)
    end)
  end)

  test('regenerating replaces the answer and nothing else', function()
    open('again.sql', {
      '-- number of customers per country, largest first',
      'SELECT 1 AS stale;',
      '',
      'SELECT COUNT(*) FROM shop.orders;',
    })
    cursor_on('-- number of customers')
    child:lua([[vim.lsp.buf.code_action({ apply = true, filter = function(action)
      return action.title == 'Regenerate SQL from comment' end })]])
    child:wait('the stale answer is gone', function()
      return not child:text():find('stale', 1, true)
    end)
    contains(below(1), 'SELECT')
    contains(child:text(), '\n\nSELECT COUNT(*) FROM shop.orders;')
    idle()
  end)

  test('what is typed during a generation stays, and the SQL still comes below its comment', function()
    open('typing.sql', { '-- names of the customers who have returned an order', '' })
    child:command('BigquillGenerate')
    busy()
    -- A statement, for a comment right above would become part of the question.
    child:type("OSELECT 'typed meanwhile: é 😀';<Esc>")
    child:wait('the SQL', function()
      return child:text():find('shop.customers', 1, true)
    end)
    idle()
    local lines = child:lines()
    equal(lines[1], "SELECT 'typed meanwhile: é 😀';")
    equal(lines[2], '-- names of the customers who have returned an order')
    contains(lines[3], 'SELECT')
  end)

  test('BigquillCancel stops a generation', function()
    open('cancel.sql', { '-- total of the orders of each customer, by month, with their names and countries' })
    child:command('BigquillGenerate')
    busy()
    child:command('BigquillCancel')
    idle()
    equal(#child:lines(), 1, 'nothing was written')
  end)

  test('ghost text is shown below the comment and accepted with the key', function()
    open('ghost.sql', { '-- how many orders were delivered?', '' })
    child:type('A')
    child:wait('ghost text', function()
      return child:screen():find('SELECT', 1, true)
    end)
    equal(#child:lines(), 2, 'ghost text is no text')
    child:type('<C-l>')
    child:wait('accepted', function()
      return child:lines()[2]:find('SELECT', 1, true)
    end)
    contains(child:text(), 'shop.orders')
    child:type('<Esc>u')
    child:wait('undone', function()
      return vim.deep_equal(child:lines(), { '-- how many orders were delivered?', '' })
    end)
  end)

  test('hover describes a column', function()
    open('hover.sql', { 'SELECT country', 'FROM shop.customers;' })
    child:lua('vim.api.nvim_win_set_cursor(0, { 1, 9 })')
    child:lua('vim.lsp.buf.hover()')
    child:wait('the hover', function()
      return child:screen():find('two-letter country code', 1, true)
    end)
  end)

  test('completion knows the columns of the FROM clause', function()
    open('complete.sql', { 'SELECT ', 'FROM shop.customers;' })
    child:type('A<C-x><C-o>')
    child:wait_lua('the menu', 'vim.fn.pumvisible() == 1')
    local words = child:lua([[return vim.tbl_map(function(item) return item.word end,
      vim.fn.complete_info({ 'items' }).items)]])
    assert(vim.list_contains(words, 'signed_up_at'), vim.inspect(words))
    child:type('<C-e><Esc>')
  end)

  test('a broken configuration is reported and the server goes on', function()
    local toml = folder .. '/bigquill.toml'
    child:command('edit ' .. toml)
    child:lua("vim.fn.append(vim.fn.line('$'), 'devise = \"cpu\"')")
    child:command('write')
    child:wait('the message', function()
      return child:command('messages'):find('devise', 1, true)
    end)
    open('after.sql', { 'SELECT emial FROM shop.customers;' })
    child:wait_lua('a diagnostic', 'vim.diagnostic.get(0)[1]')
    child:command('edit ' .. toml)
    child:command('undo')
    child:command('write')
  end)

  test('BigquillRestart starts the server anew', function()
    open('restart.sql', { 'SELECT emial FROM shop.customers;' })
    child:wait_lua('a diagnostic', 'vim.diagnostic.get(0)[1]')
    local id = child:lua('return vim.lsp.get_clients({ bufnr = 0 })[1].id')
    child:command('BigquillRestart')
    child:wait('a new client', function()
      return child:lua('return (vim.lsp.get_clients({ bufnr = 0 })[1] or {}).id or 0') > id
    end)
    child:wait_lua('a diagnostic of the new server', 'vim.diagnostic.get(0)[1]')
  end)

  test('checkhealth finds the server, its model and the catalog', function()
    child:command('checkhealth bigquill')
    local report = child:text()
    contains(report, 'OK running')
    contains(report, folder .. '/bigquill.toml')
    contains(report, 'OK model: qwen2.5-coder-0.5b')
    contains(report, 'catalogs/shop.json')
    assert(not report:find('ERROR', 1, true), report)
  end)

  child:stop()
end
