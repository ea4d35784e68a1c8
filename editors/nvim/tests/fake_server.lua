--- A language server inside the child Neovim that answers when the test says so: it makes the order
--- of answers and keystrokes certain, which a real model cannot. Source text, run in the child.

return [==[
  _G.fake = { requests = {}, notifications = {}, cancelled = {} }

  --- Answers the newest request of `method` that still waits.
  function fake.answer(method, result)
    for index = #fake.requests, 1, -1 do
      local request = fake.requests[index]
      if request.method == method and not request.answered then
        request.answered = true
        request.reply(nil, result)
        return true
      end
    end
    return false
  end

  --- How many requests of `method` have come, answered or not.
  function fake.count(method)
    return #vim.tbl_filter(function(request) return request.method == method end, fake.requests)
  end

  function fake.start(dispatchers)
    fake.dispatchers = dispatchers
    local closing = false
    local immediate = {
      initialize = { capabilities = {
        textDocumentSync = 2,
        inlineCompletionProvider = true,
        codeActionProvider = true,
        executeCommandProvider = { commands = { 'bigquill.generate' } },
      } },
      shutdown = vim.NIL,
    }
    local last = 0
    return {
      request = function(method, params, reply)
        last = last + 1
        if immediate[method] then
          if method == 'initialize' then fake.initialize = params end
          reply(nil, immediate[method])
        else
          table.insert(fake.requests, { method = method, params = params, reply = reply })
        end
        return true, last
      end,
      notify = function(method, params)
        table.insert(fake.notifications, { method = method, params = params })
        if method == 'exit' then
          closing = true
          dispatchers.on_exit(0, 0)
        end
        return true
      end,
      is_closing = function() return closing end,
      terminate = function()
        if not closing then
          closing = true
          dispatchers.on_exit(0, 15)
        end
      end,
    }
  end

  vim.lsp.config('bigquill', { cmd = fake.start, root_dir = vim.uv.cwd() })
]==]
