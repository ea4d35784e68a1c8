--- The plugin against a server that answers on demand.

local setup = require('fake_server')
local INLINE = 'textDocument/inlineCompletion'

return function(harness, plugin)
  local test, equal, contains = harness.test, harness.equal, harness.contains
  local native = vim.fn.has('nvim-0.12') == 1

  --- A child with a SQL buffer of these lines, attached.
  local function open(lines, options)
    local child = harness.child(plugin, setup .. (options or ''))
    local file = child.home .. '/query.sql'
    vim.fn.writefile(lines, file)
    child:command('edit ' .. file)
    child:wait_lua('the server attaches', '#vim.lsp.get_clients({ bufnr = 0 }) > 0')
    return child
  end

  local function with(lines, options, body)
    local child = open(lines, options)
    local ok, problem = pcall(body, child)
    child:stop()
    if not ok then
      error(problem, 0)
    end
  end

  --- Waits for the first inline request and answers it.
  local function suggest(child, item)
    child:wait_lua('an inline request', ('fake.count(%q) > 0'):format(INLINE))
    child:lua('fake.answer(...)', INLINE, { items = { item } })
  end

  local function at(line, character)
    return { line = line, character = character }
  end

  test('starts for SQL, answers for its settings and says what it can', function()
    local options = "vim.lsp.config('bigquill', { settings = { bigquill = { device = 'cpu' } } })"
    with({ '-- how many orders?' }, options, function(child)
      local answer = child:lua([[return vim.lsp.handlers['workspace/configuration'](
        nil, { items = { { section = 'bigquill' } } }, { client_id = vim.lsp.get_clients()[1].id })]])
      equal(answer, { { device = 'cpu' } })
      local capabilities = child:lua('return fake.initialize.capabilities')
      equal(capabilities.workspace.workspaceEdit.documentChanges, true)
      assert(capabilities.textDocument.inlineCompletion, 'inline completion is not announced')
    end)
  end)

  test('the server hears of a change before an edit for the older text is refused', function()
    with({ '-- orders' }, nil, function(child)
      local sent = child:lua([[
        local before = #fake.notifications
        vim.api.nvim_buf_set_lines(0, 0, 1, false, { '-- orders of today' })
        return vim.tbl_map(function(n) return n.method end, vim.list_slice(fake.notifications, before + 1))
      ]])
      equal(sent, { 'textDocument/didChange' })
    end)
  end)

  test('enable = false leaves the server alone', function()
    local child = harness.child(plugin, setup .. 'vim.g.bigquill = { enable = false }')
    equal(child:lua("return vim.lsp.is_enabled('bigquill')"), false)
    child:stop()
  end)

  test('ghost text is shown on the screen and accepted with the key', function()
    with({ '-- how many orders?', '' }, nil, function(child)
      child:type('A')
      suggest(child, {
        insertText = '\nSELECT COUNT(*)\nFROM shop.orders',
        range = { start = at(0, 19), ['end'] = at(0, 19) },
      })
      child:wait('ghost text', function()
        return child:screen():find('FROM shop.orders', 1, true)
      end)
      equal(child:lines(), { '-- how many orders?', '' }, 'ghost text is no text')
      child:type('<C-l>')
      local expected = { '-- how many orders?', 'SELECT COUNT(*)', 'FROM shop.orders', '' }
      child:wait('accepted', function()
        return vim.deep_equal(child:lines(), expected)
      end)
      equal(child:lua('return vim.api.nvim_win_get_cursor(0)'), { 3, 16 })
    end)
  end)

  test('undo takes the accepted SQL back and leaves the typed comment', function()
    with({ '' }, nil, function(child)
      child:type('i-- orders')
      child:wait_lua('the comment', "vim.fn.getline(1) == '-- orders'")
      child:wait_lua('a request for it', ([[#vim.tbl_filter(function(r)
        return r.method == %q and r.params.position.character == 9 end, fake.requests) > 0]]):format(INLINE))
      child:lua('fake.answer(...)', INLINE, { { insertText = '\nSELECT 1' , range = { start = at(0, 9), ['end'] = at(0, 9) } } })
      child:wait('ghost text', function()
        return child:screen():find('SELECT 1', 1, true)
      end)
      child:type('<C-l>')
      child:wait_lua('accepted', "vim.fn.getline(2) == 'SELECT 1'")
      child:type('<Esc>u')
      child:wait_lua('undone', 'vim.fn.line("$") == 1')
      equal(child:lines(), { '-- orders' })
    end)
  end)

  test('without ghost text the key does what it did before', function()
    local map = "vim.keymap.set('i', '<C-l>', 'mapped')"
    with({ '' }, map, function(child)
      child:type('i<C-l>')
      child:wait_lua('the older mapping', "vim.fn.getline(1) == 'mapped'")
    end)
    local expression = "vim.g.bigquill = { accept_key = '<Tab>' }"
    with({ '' }, expression, function(child)
      child:type('ia<Tab>b')
      child:wait_lua('a plain tab', "vim.fn.getline(1) == 'a\\tb'")
    end)
    local own = [[vim.api.nvim_create_autocmd('BufReadPost', { callback = function(e)
      vim.keymap.set('i', '<C-l>', 'own', { buffer = e.buf }) end })]]
    with({ '' }, own, function(child)
      child:type('i<C-l>')
      child:wait_lua("the buffer's own mapping", "vim.fn.getline(1) == 'own'")
    end)
  end)

  test('accept_key = false maps nothing, ghost_text = false asks nothing', function()
    with({ '' }, 'vim.g.bigquill = { accept_key = false }', function(child)
      equal(child:lua("return vim.fn.maparg('<C-l>', 'i')"), '')
    end)
    with({ '' }, 'vim.g.bigquill = { ghost_text = false }', function(child)
      child:type('ix')
      child:wait_lua('typed', "vim.fn.getline(1) == 'x'")
      equal(child:lua("return vim.fn.maparg('<C-l>', 'i')"), '')
      equal(child:lua('return #vim.api.nvim_get_autocmds({ buffer = 0, event = "TextChangedI" })'), 0)
    end)
  end)

  if not native then
    test('typing what the ghost text shows keeps it and asks nothing new', function()
      with({ '-- orders', '' }, nil, function(child)
        child:type('jA')
        suggest(child, { insertText = 'SELECT 1', range = { start = at(1, 0), ['end'] = at(1, 0) } })
        child:wait('ghost text', function()
          return child:screen():find('SELECT 1', 1, true)
        end)
        local asked = child:lua('return fake.count(...)', INLINE)
        child:type('SEL')
        child:wait_lua('typed', "vim.fn.getline(2) == 'SEL'")
        contains(child:screen(), 'SELECT 1', 'the rest stays')
        child:type('<C-l>')
        child:wait_lua('accepted', "vim.fn.getline(2) == 'SELECT 1'")
        equal(child:lua('return fake.count(...)', INLINE), asked)
      end)
    end)

    test('a late answer is dropped, another text takes the ghost away', function()
      with({ '-- orders', '' }, nil, function(child)
        child:type('jA')
        child:wait_lua('an inline request', ('fake.count(%q) > 0'):format(INLINE))
        child:type('W')
        child:wait_lua('typed', "vim.fn.getline(2) == 'W'")
        child:lua('fake.requests[1].reply(nil, ...)', { items = { { insertText = 'SELECT late' } } })
        child:wait_lua('a request for the new text', ('fake.count(%q) > 1'):format(INLINE))
        assert(not child:screen():find('late', 1, true), 'a late answer is shown')
        child:lua('fake.answer(...)', INLINE, { items = { { insertText = 'HERE x' } } })
        child:wait('ghost text', function()
          return child:screen():find('WHERE x', 1, true)
        end)
        child:type('?')
        child:wait('gone', function()
          return not child:screen():find('HERE x', 1, true)
        end)
        child:type('<Esc>')
        child:wait_lua('normal mode', "vim.fn.mode() == 'n'")
        equal(child:lines(), { '-- orders', 'W?' })
      end)
    end)

    test('ghost text counts positions as the server does', function()
      with({ '-- 😀 é orders', '' }, nil, function(child)
        child:type('A')
        suggest(child, { insertText = ' now', range = { start = at(0, 14), ['end'] = at(0, 14) } })
        child:wait('ghost text', function()
          return child:screen():find('orders now', 1, true)
        end)
        child:type('<C-l>')
        child:wait_lua('accepted', "vim.fn.getline(1) == '-- 😀 é orders now'")
      end)
    end)
  end

  test('BigquillGenerate runs the generate action and no other', function()
    with({ '-- how many orders?' }, nil, function(child)
      child:command('BigquillGenerate')
      child:wait_lua('a code action request', "fake.count('textDocument/codeAction') == 1")
      child:lua("fake.answer('textDocument/codeAction', ...)", {
        { title = 'Explain', kind = 'quickfix', command = { title = 'x', command = 'bigquill.explain' } },
        {
          title = 'Generate SQL from comment',
          kind = 'refactor',
          command = { title = 'Generate', command = 'bigquill.generate', arguments = { 'here' } },
        },
      })
      child:wait_lua('the command', "fake.count('workspace/executeCommand') == 1")
      local sent = child:lua([[return vim.tbl_filter(function(r)
        return r.method == 'workspace/executeCommand' end, fake.requests)[1].params]])
      equal(sent.command, 'bigquill.generate')
      equal(sent.arguments, { 'here' })
    end)
  end)

  test('an edit for an older text is refused and the server told so', function()
    with({ '-- orders' }, nil, function(child)
      local outcome = child:lua([[
        vim.api.nvim_buf_set_lines(0, 0, 1, false, { '-- orders of today' })
        local edit = function(version)
          return require('bigquill').apply_edit(nil, { edit = { documentChanges = { {
            textDocument = { uri = vim.uri_from_bufnr(0), version = version },
            edits = { { newText = '\nSELECT 1', range = {
              start = { line = 0, character = 18 }, ['end'] = { line = 0, character = 18 } } } },
          } } } }, { client_id = vim.lsp.get_clients()[1].id })
        end
        local version = vim.lsp.util.buf_versions[vim.api.nvim_get_current_buf()]
        local stale = edit(version - 1)
        local untouched = vim.api.nvim_buf_get_lines(0, 0, -1, false)
        return { stale = stale, untouched = untouched, current = edit(version) }
      ]])
      equal(outcome.stale.applied, false)
      equal(outcome.untouched, { '-- orders of today' })
      equal(outcome.current.applied, true)
      equal(child:lines(), { '-- orders of today', 'SELECT 1' })
    end)
  end)

  test('progress is shown, and BigquillCancel cancels it', function()
    with({ '-- orders' }, nil, function(child)
      child:lua([[
        fake.dispatchers.server_request('window/workDoneProgress/create', { token = 'work' })
        fake.dispatchers.notification('$/progress', { token = 'work', value = {
          kind = 'begin', title = 'Generating SQL', cancellable = true } })
        fake.dispatchers.notification('$/progress', { token = 'work', value = {
          kind = 'report', message = 'checking', percentage = 60 } })
      ]])
      child:wait('the message', function()
        return child:screen():find('bigquill: Generating SQL 60% checking', 1, true)
      end)
      child:command('BigquillCancel')
      local cancelled = child:lua([[return vim.tbl_filter(function(n)
        return n.method == 'window/workDoneProgress/cancel' end, fake.notifications)]])
      equal(#cancelled, 1)
      equal(cancelled[1].params.token, 'work')
    end)
  end)

  test('BigquillRun sends the place, a parameter is asked for, rows come in one window below', function()
    with({ 'SELECT 1;', 'SELECT @day' }, nil, function(child)
      child:lua('vim.api.nvim_win_set_cursor(0, { 2, 7 })')
      child:command('BigquillRun')
      local sent = child:lua('return fake.requests[#fake.requests].params')
      equal(sent.command, 'bigquill.run')
      equal(sent.arguments[1].position, at(1, 7))
      contains(sent.arguments[1].uri, '/query.sql')

      equal(child:lua('return fake.initialize.capabilities.experimental.bigquill.input'), true)
      child:lua([[
        vim.fn.input = function(options) _G.prompt = options.prompt; return 'DATE 2024-01-01' end
        _G.typed = fake.dispatchers.server_request('bigquill/input', { prompt = 'Value', placeholder = 'DATE x' })
        vim.fn.input = function() error('Keyboard interrupt') end
        _G.nothing = fake.dispatchers.server_request('bigquill/input', { prompt = 'Value', placeholder = 'DATE x' })
      ]])
      equal(child:lua('return { prompt, typed, nothing == vim.NIL }'), { 'Value (such as DATE x): ', 'DATE 2024-01-01', true })

      local folder = child.home .. '/bigquill-results-1'
      vim.fn.mkdir(folder, 'p')
      for page = 1, 2 do
        local file = ('%s/query-results-%d.md'):format(folder, page)
        vim.fn.writefile({ '| page ' .. page .. ' |' }, file)
        child:lua("fake.dispatchers.server_request('window/showDocument', { uri = ..., takeFocus = true })", 'file://' .. file)
        equal(child:lines(), { '| page ' .. page .. ' |' })
        equal(child:lua('return #vim.api.nvim_tabpage_list_wins(0)'), 2)
        equal(child:lua('return vim.bo.modifiable'), false)
      end
      child:command('BigquillPage previous')
      local paged = child:lua('return fake.requests[#fake.requests].params')
      equal({ paged.command, paged.arguments[1].page }, { 'bigquill.resultsPage', 'previous' })
      contains(paged.arguments[1].uri, '/query-results-2.md')
      child:command('BigquillExport rows.csv')
      local export = child:lua('return fake.requests[#fake.requests].params')
      equal(export.command, 'bigquill.exportResults')
      contains(export.arguments[1].path, '/rows.csv')
    end)
  end)

  test('saving bigquill.toml tells the server', function()
    with({ '-- orders' }, nil, function(child)
      child:command('edit ' .. child.home .. '/bigquill.toml')
      child:lua("vim.api.nvim_buf_set_lines(0, 0, -1, false, { 'device = \"cpu\"' })")
      child:command('write')
      local told = child:lua([[return vim.tbl_filter(function(n)
        return n.method == 'workspace/didChangeWatchedFiles' end, fake.notifications)]])
      equal(#told, 1)
      contains(told[1].params.changes[1].uri, child.home .. '/bigquill.toml')
    end)
  end)

  test('BigquillRestart starts a new server for the same buffer', function()
    with({ '-- orders' }, nil, function(child)
      local before = child:lua('return vim.lsp.get_clients({ bufnr = 0 })[1].id')
      child:command('BigquillRestart')
      child:wait('a new client', function()
        local id = child:lua('return (vim.lsp.get_clients({ bufnr = 0 })[1] or {}).id or 0')
        return id > before
      end)
    end)
  end)

  test('options that are unknown or of the wrong type are named', function()
    local child = harness.child(plugin, setup .. [[
      vim.g.bigquill = { acept_key = '<Tab>', progress = 'yes', accept_key = false }]])
    local problems = child:lua("return require('bigquill.options').problems()")
    equal(#problems, 2)
    contains(problems[1], 'acept_key')
    contains(problems[2], 'vim.g.bigquill.progress must be a boolean')
    child:stop()
  end)

  test('checkhealth names a missing server and what to do', function()
    local missing = "vim.lsp.config('bigquill', { cmd = { '/nowhere/bigquill' } })"
    local child = harness.child(plugin, missing)
    child:command('checkhealth bigquill')
    contains(child:text(), '"/nowhere/bigquill" is no executable')
    contains(child:text(), 'cargo install')
    child:stop()
  end)

  test('the help file makes its tags', function()
    local doc = vim.fn.tempname()
    vim.fn.mkdir(doc, 'p')
    vim.uv.fs_copyfile(plugin .. '/doc/bigquill.txt', doc .. '/bigquill.txt')
    vim.cmd.helptags(doc)
    local tags = table.concat(vim.fn.readfile(doc .. '/tags'), '\n')
    for _, tag in ipairs({ 'bigquill.txt', ':BigquillGenerate', 'bigquill-options', 'bigquill-config' }) do
      contains(tags, tag .. '\t')
    end
  end)
end
