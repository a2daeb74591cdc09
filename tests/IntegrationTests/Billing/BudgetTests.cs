using System.Net;
using System.Text.Json.Nodes;
using MediatR;
using Microsoft.Extensions.DependencyInjection;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.IntegrationTests.Calls;
using VoicePlatform.IntegrationTests.Support;

namespace VoicePlatform.IntegrationTests.Billing;

/// <summary>What a tenant lets itself spend a day and a month.</summary>
internal sealed class BudgetTests
{
    /// <summary>What a conversation in text begins with, and what a message of it costs.</summary>
    private const long Hold = 54_320;
    private const long Message = 10_000;

    private Books _books = null!;
    private string _assistant = "";

    [SetUp]
    public async Task SetUpAsync()
    {
        _books = await Books.OpenSharedAsync();
        await _books.TopUpAsync(100_000_000);
        _assistant = await _books.Tenant.CreateAssistantAsync();
    }

    [TearDown]
    public async Task TearDownAsync() => await _books.DisposeAsync();

    [Test]
    public async Task A_budget_of_noon_knows_the_morning_and_follows_each_conversation()
    {
        Assert.That((await _books.Tenant.GetAsync("/v1/billing/budgets")).Body!["budgets"]!.AsArray(), Is.Empty);
        var morning = await StartAsync();
        await _books.SayAsync(morning, 3);
        await _books.EndAsync(morning);
        var running = await StartAsync();

        var set = await PutAsync((null, "day", 1_000_000), (null, "month", 5_000_000), (_assistant, "day", 200_000));
        Assert.That(set.Status, Is.EqualTo(HttpStatusCode.OK), set.Body?.ToJsonString());
        Assert.That(set.Get<string>("unit"), Is.EqualTo("micro_credit"));
        Assert.That(await BudgetsAsync(), Is.EqualTo(new[]
        {
            (null, "day", 1_000_000L, 3 * Message, Hold, 1_000_000 - (3 * Message) - Hold),
            (null, "month", 5_000_000L, 3 * Message, Hold, 5_000_000 - (3 * Message) - Hold),
            ((string?)_assistant, "day", 200_000L, 3 * Message, Hold, 200_000 - (3 * Message) - Hold),
        }));

        await _books.SayAsync(running, 2);
        Assert.That((await BudgetsAsync())[2].Held, Is.EqualTo(Hold + Message), "The hold was raised.");
        await _books.EndAsync(running);
        Assert.That((await BudgetsAsync())[2], Is.EqualTo(((string?)_assistant, "day", 200_000L, 5 * Message, 0L, 200_000 - (5 * Message))));

        Assert.That((await PutAsync()).Body!["budgets"]!.AsArray(), Is.Empty);
        Assert.That((await _books.Tenant.GetAsync("/v1/audit?action=billing.budgets_set")).Body!["data"]!.AsArray(), Has.Count.EqualTo(2));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task A_late_charge_counts_and_one_that_is_reversed_is_no_longer_spent()
    {
        await PutAsync((null, "day", 1_000_000), (_assistant, "month", 1_000_000));
        var session = await StartAsync();
        await _books.SayAsync(session, 1);
        await _books.EndAsync(session);
        await using (var scope = _books.Host.Services.CreateAsyncScope())
        {
            var late = await scope.ServiceProvider.GetRequiredService<IMediator>().Send(
                new ChargeLateUse(_books.Tenant.TenantId, session, BareLedger.Messages(1), BareLedger.Messages(3)));
            Assert.That(late.Value.Cost, Is.EqualTo(2 * Message));
        }

        Assert.That((await BudgetsAsync()).Select(b => b.Spent), Is.All.EqualTo(3 * Message));
        var adjustment = (await _books.TransactionAsync("adjustment", session))["id"]!.GetValue<string>();
        Assert.That((await _books.ReverseAsync(adjustment)).Get<long>("amount"), Is.EqualTo(2 * Message));
        Assert.That((await BudgetsAsync()).Select(b => (b.Spent, b.Remaining)), Is.All.EqualTo((Message, 1_000_000 - Message)));
        Assert.That((await _books.ReverseAsync(adjustment)).Code, Is.EqualTo("billing.already_reversed"));
        Assert.That((await BudgetsAsync()).Select(b => b.Spent), Is.All.EqualTo(Message), "Once.");
        await AssertCountedAsync();
    }

    [TestCase("day")]
    [TestCase("month")]
    public async Task What_does_not_fit_is_refused_and_the_refusal_names_the_budget(string per)
    {
        await PutAsync((_assistant, per, Hold - 1), (null, per, 10 * Hold));
        var refused = await TryStartAsync();
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.PaymentRequired, "billing.budget_exceeded")));
        Assert.That(refused.Get<string>("detail"), Does.Contain(_assistant).And.Contain($"a {per}").And.Contain($"{Hold - 1} micro-credits"));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((100_000_000L, 0L)), "Nothing stays of it.");
        Assert.That((await _books.Tenant.GetAsync("/v1/sessions")).Body!["data"]!.AsArray(), Is.Empty);
        Assert.That((await BudgetsAsync()).Select(b => b.Held), Is.All.Zero);

        var other = await _books.Tenant.CreateAssistantAsync();
        Assert.That((await TryStartAsync(other)).Status, Is.EqualTo(HttpStatusCode.Created), "It is not the other's budget.");
        await PutAsync((_assistant, per, Hold));
        Assert.That((await TryStartAsync()).Status, Is.EqualTo(HttpStatusCode.Created), "Raised, it holds at once.");
        await PutAsync((null, per, (3 * Hold) - 1));
        var all = await TryStartAsync(other);
        Assert.That((all.Code, all.Get<string>("detail")), Is.EqualTo(("billing.budget_exceeded",
            $"The budget of {(3 * Hold) - 1} micro-credits a {per} for all assistants does not allow it: {2 * Hold} are spent or reserved, and {Hold} more are needed.")));
        await PutAsync();
        Assert.That((await TryStartAsync(other)).Status, Is.EqualTo(HttpStatusCode.Created), "Taken away, it holds no more.");
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task A_hundred_at_once_start_exactly_as_many_as_fit()
    {
        const int Fit = 7;
        await PutAsync((null, "month", (Fit * Hold) + Hold - 1), (_assistant, "day", 50 * Hold));
        var answers = await Task.WhenAll(Enumerable.Range(0, 100).Select(_ => TryStartAsync()));
        Assert.That(answers.Count(a => a.Status is HttpStatusCode.Created), Is.EqualTo(Fit));
        Assert.That(answers.Where(a => a.Status is not HttpStatusCode.Created).Select(a => a.Code), Is.All.EqualTo("billing.budget_exceeded"));
        Assert.That((await BudgetsAsync())[0].Held, Is.EqualTo(Fit * Hold));
        Assert.That(await _books.Tenant.BalanceAsync(), Is.EqualTo((100_000_000 - (Fit * Hold), Fit * Hold)));
        await AssertCountedAsync();
    }

    [Test]
    public async Task What_is_counted_is_what_is_held_and_was_charged_however_it_came_about()
    {
        await PutAsync((null, "day", 12 * Hold), (_assistant, "month", 6 * Hold));
        var other = await _books.Tenant.CreateAssistantAsync();
        await Task.WhenAll(Enumerable.Range(0, 30).Select(async n =>
        {
            var started = await TryStartAsync(n % 3 == 0 ? _assistant : other);
            if (started.Status is not HttpStatusCode.Created)
            {
                Assert.That(started.Code, Is.EqualTo("billing.budget_exceeded"));
                return;
            }

            var session = started.Get<string>("id");
            for (var i = 0; i < n % 4; i++)
            {
                var answer = await _books.Tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "hello" });
                Assert.That(answer.Code, Is.Null.Or.EqualTo("billing.budget_exceeded"));
            }

            if (n % 5 != 0)
            {
                await _books.EndAsync(session);
                if (n % 4 == 3)
                {
                    await _books.ReverseAsync((await _books.TransactionAsync("charge", session))["id"]!.GetValue<string>());
                }
            }
        }));
        await AssertCountedAsync();
    }

    [Test]
    public async Task A_running_conversation_is_not_extended_beyond_a_budget_and_still_ends()
    {
        var session = await StartAsync();
        await PutAsync((_assistant, "day", Hold));
        await _books.SayAsync(session, 1);
        var refused = await _books.Tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "hello" });
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.PaymentRequired, "billing.budget_exceeded")));

        await PutAsync((_assistant, "day", Hold + Message));
        await _books.SayAsync(session, 1);
        await PutAsync((_assistant, "day", 0));
        await _books.EndAsync(session);
        Assert.That((await BudgetsAsync())[0], Is.EqualTo(((string?)_assistant, "day", 0L, 2 * Message, 0L, 0L)));
        await _books.AssertSoundAsync();
    }

    [Test]
    public async Task A_spoken_conversation_hears_of_a_budget_what_it_hears_of_missing_credits()
    {
        var poor = await _books.Host.SignUpAsync("Poor");
        var begin = await SpeakAsync(_books.Tenant, _assistant);
        var held = (await _books.Tenant.BalanceAsync()).Held;
        await _books.AsOperatorAsync(HttpMethod.Post, "/v1/billing/topups", new { tenant_id = poor.TenantId, amount = held, external_reference = "poor" });
        var poorBegin = await SpeakAsync(poor, await poor.CreateAssistantAsync());
        await PutAsync((null, "day", held));

        Assert.That(await ReportAsync(begin, tokens: 100_000_000), Is.EqualTo(Continuation.OutOfCredits));
        Assert.That(await ReportAsync(poorBegin, tokens: 100_000_000), Is.EqualTo(Continuation.OutOfCredits));
        await PutAsync((null, "day", 100 * held));
        Assert.That(await ReportAsync(begin, tokens: 100_000_000), Is.EqualTo(Continuation.GoOn));
        Assert.That(await ReportAsync(poorBegin, tokens: 100_000_000), Is.EqualTo(Continuation.OutOfCredits));

        static async Task<string> SpeakAsync(TestTenant tenant, string assistant)
        {
            var answer = await tenant.PostAsync("/v1/sessions", new { assistant_id = assistant });
            Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
            return answer.Get<string>("id");
        }

        async Task<Continuation> ReportAsync(string session, long tokens)
        {
            await using var scope = _books.Host.Services.CreateAsyncScope();
            var told = await scope.ServiceProvider.GetRequiredService<IMediator>().Send(
                new ReportProgress(session, [], [], [new("llm_input", "local", "script", "token", tokens)], [], CallerPresent: true));
            return told.Value.Continuation;
        }
    }

    [Test]
    public async Task Telephone_calls_count_for_their_assistant()
    {
        await using var bench = await PhoneBench.StartAsync();
        var later = new { schedule_at = TimeProvider.System.GetUtcNow().AddHours(1) };      // Queued, and held for.
        await bench.CallAsync(later);
        var held = (await bench.Tenant.BalanceAsync()).Held;
        await bench.Host.SendAsync(HttpMethod.Put, "/v1/billing/budgets", bench.Tenant.Key, new { budgets = new[] { new { assistant_id = bench.Assistant, per = "month", amount = (2 * held) + 1 } } });
        await bench.CallAsync(later);
        var refused = await bench.Tenant.PostAsync("/v1/calls", bench.Body(later).ToJsonString());
        Assert.That((refused.Status, refused.Code), Is.EqualTo((HttpStatusCode.PaymentRequired, "billing.budget_exceeded")));
        Assert.That(await bench.CountAsync("SELECT count(*) FROM call.calls"), Is.EqualTo(2));
    }

    [Test]
    public async Task A_conversation_counts_for_the_day_and_month_on_which_it_was_accepted()
    {
        await PutAsync((null, "day", Hold), (null, "month", 2 * Hold));
        var session = await StartAsync();
        Assert.That((await TryStartAsync()).Code, Is.EqualTo("billing.budget_exceeded"));

        // As if it had been accepted on another day of this month.
        await ShiftAsync("CASE WHEN extract(day FROM d AT TIME ZONE 'UTC') = 1 THEN interval '1 day' ELSE interval '-1 day' END");
        Assert.That((await BudgetsAsync()).Select(b => (b.Per, b.Held)), Is.EqualTo(new[] { ("day", 0L), ("month", Hold) }));
        var today = await StartAsync();
        Assert.That((await TryStartAsync()).Get<string>("detail"), Does.Contain("a day"));
        await _books.EndAsync(today);
        await _books.SayAsync(session, 1);
        Assert.That((await _books.Tenant.PostAsync($"/v1/sessions/{session}/messages", new { text = "hello" })).Code, Is.EqualTo("billing.budget_exceeded"), "Its own day is full.");

        // As if that had been in the month before.
        await ShiftAsync("interval '-1 month'");
        Assert.That((await BudgetsAsync()).Select(b => b.Held), Is.All.Zero);
        await _books.EndAsync(session);
        Assert.That((await BudgetsAsync()).Select(b => b.Spent), Is.All.Zero, "It was that month's.");
        Assert.That(await _books.Host.SqlAsync("SELECT sum(charged) FROM billing.spending WHERE tenant_id = $1 AND assistant_id = ''", _books.Tenant.TenantId), Is.EqualTo((decimal)Message));
        await _books.AssertSoundAsync();

        Task ShiftAsync(string by) => _books.AsSuperuserAsync(
            $"""
            UPDATE billing.spending s SET day = ((h.d + {by}) AT TIME ZONE 'UTC')::date
            FROM (SELECT placed_at AS d FROM billing.holds WHERE subject_id = '{session}') h WHERE s.tenant_id = '{_books.Tenant.TenantId}' AND s.day = (h.d AT TIME ZONE 'UTC')::date;
            UPDATE billing.holds h SET placed_at = d + {by} FROM (SELECT placed_at AS d FROM billing.holds WHERE subject_id = '{session}') x WHERE subject_id = '{session}'
            """);
    }

    [Test]
    public async Task A_charge_that_is_taken_back_is_not_spent()
    {
        await PutAsync((_assistant, "day", 1_000_000));
        var session = await StartAsync();
        await _books.SayAsync(session, 2);
        await _books.EndAsync(session);
        Assert.That((await BudgetsAsync())[0].Spent, Is.EqualTo(2 * Message));
        Assert.That((await _books.ReverseAsync((await _books.TransactionAsync("charge", session))["id"]!.GetValue<string>())).Status, Is.EqualTo(HttpStatusCode.Created));
        Assert.That((await BudgetsAsync())[0].Spent, Is.Zero);
    }

    [Test]
    public async Task Nobody_overwrites_budgets_that_he_has_not_seen()
    {
        var tag = (await _books.Tenant.GetAsync("/v1/billing/budgets")).Headers["ETag"];
        Assert.That((await PutIfAsync(tag, (null, "day", 5))).Status, Is.EqualTo(HttpStatusCode.OK));
        var late = await PutIfAsync(tag, (null, "day", 7));
        Assert.That((late.Status, late.Code), Is.EqualTo((HttpStatusCode.PreconditionFailed, "etag.changed")));
        Assert.That((await BudgetsAsync())[0].Amount, Is.EqualTo(5));
        var read = await _books.Tenant.GetAsync("/v1/billing/budgets");
        Assert.That((await PutIfAsync(read.Headers["ETag"])).Status, Is.EqualTo(HttpStatusCode.OK));

        var answers = await Task.WhenAll(Enumerable.Range(1, 8).Select(n => PutAsync((null, "day", n), (null, "month", n))));
        Assert.That(answers.Select(a => a.Status), Is.All.EqualTo(HttpStatusCode.OK));
        var last = await BudgetsAsync();
        Assert.That((last.Count, last[0].Amount), Is.EqualTo((2, last[1].Amount)), "One whole set, never two halves.");
    }

    [TestCase("admin", true, true)]
    [TestCase("finance", true, false)]
    [TestCase("operate", false, false)]
    [TestCase("read", false, false)]
    public async Task Finance_looks_and_admin_decides(string scope, bool mayRead, bool mayWrite)
    {
        var key = (await _books.Tenant.PostAsync("/v1/keys", new { name = "k", scopes = new[] { scope } })).Get<string>("key");
        foreach (var (path, body) in new[] { ("/v1/billing/budgets", """{"budgets": []}"""), ("/v1/billing/alerts", "{}") })
        {
            Assert.That((await _books.Host.SendAsync(HttpMethod.Get, path, key)).Status, Is.EqualTo(mayRead ? HttpStatusCode.OK : HttpStatusCode.Forbidden));
            Assert.That((await _books.Host.SendAsync(HttpMethod.Put, path, key, body)).Status, Is.EqualTo(mayWrite ? HttpStatusCode.OK : HttpStatusCode.Forbidden));
        }
    }

    [TestCase("""{}""", "budgets", 422)]
    [TestCase("""{"budgets": [null]}""", "budgets[0]", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": -1}]}""", "budgets[0].amount", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1000000000000001}]}""", "budgets[0].amount", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1}, {"per": "month"}]}""", "budgets[1].amount", 422)]
    [TestCase("""{"budgets": [{"amount": 1}]}""", "budgets[0].per", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1}, {"per": "month", "amount": 1}, {"per": "day", "amount": 2}]}""", "budgets[2]", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1, "assistant_id": "nonsense"}]}""", "budgets[0].assistant_id", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1, "assistant_id": "{mine}"}, {"per": "day", "amount": 1, "assistant_id": "{theirs}"}]}""", "budgets[1].assistant_id", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1, "assistant_id": "{deleted}"}]}""", "budgets[0].assistant_id", 422)]
    [TestCase("""{"budgets": [{"per": "week", "amount": 1}]}""", "budgets[0].per", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1.5}]}""", "budgets[0].amount", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": "1"}]}""", "budgets[0].amount", 422)]
    [TestCase("""{"budgets": [{"per": "day", "amount": 1, "currency": "EUR"}]}""", "currency", 422)]
    public async Task A_budget_that_cannot_be_is_refused_by_field(string body, string field, int status)
    {
        await PutAsync((null, "day", 77));
        var deleted = await _books.Tenant.CreateAssistantAsync();
        await _books.Tenant.DeleteAsync($"/v1/assistants/{deleted}");
        var theirs = await (await _books.Host.SignUpAsync("Others")).CreateAssistantAsync();
        var refused = await PutBodyAsync(body.Replace("{mine}", _assistant, StringComparison.Ordinal).Replace("{theirs}", theirs, StringComparison.Ordinal).Replace("{deleted}", deleted, StringComparison.Ordinal));
        Assert.That(((int)refused.Status, refused.Fields.First()), Is.EqualTo((status, field)), refused.Body?.ToJsonString());
        Assert.That((await BudgetsAsync()).Single().Amount, Is.EqualTo(77), "The set before stays.");
    }

    [Test]
    public async Task Many_budgets_are_taken_and_too_many_are_not()
    {
        var many = await Task.WhenAll(Enumerable.Range(0, 40).Select(_ => _books.Tenant.CreateAssistantAsync(new { name = "N" })));
        Assert.That((await PutAsync([.. many.SelectMany(id => new[] { ((string?)id, "day", 1L), (id, "month", 2L) })])).Body!["budgets"]!.AsArray(), Has.Count.EqualTo(80));
        var refused = await PutAsync([.. Enumerable.Repeat(((string?)null, "day", 1L), 1001)]);
        Assert.That((refused.Status, refused.Fields.Single()), Is.EqualTo((HttpStatusCode.UnprocessableEntity, "budgets")));
    }

    private Task<Answer> PutAsync(params (string? Assistant, string Per, long Amount)[] budgets) => PutIfAsync("*", budgets);

    private Task<Answer> PutIfAsync(string ifMatch, params (string? Assistant, string Per, long Amount)[] budgets) => _books.Host.SendAsync(
        HttpMethod.Put, "/v1/billing/budgets", _books.Tenant.Key,
        new { budgets = budgets.Select(b => new { assistant_id = b.Assistant, per = b.Per, amount = b.Amount }) }, ("If-Match", ifMatch));

    private Task<Answer> PutBodyAsync(string body) => _books.Host.SendAsync(HttpMethod.Put, "/v1/billing/budgets", _books.Tenant.Key, body);

    private async Task<List<(string? Assistant, string Per, long Amount, long Spent, long Held, long Remaining)>> BudgetsAsync() =>
        [.. (await _books.Tenant.GetAsync("/v1/billing/budgets")).Body!["budgets"]!.AsArray().Select(b => (b!["assistant_id"]?.GetValue<string>(), Text(b, "per"), Of(b, "amount"), Of(b, "spent"), Of(b, "held"), Of(b, "remaining")))];

    /// <summary>The counters are what holds and entries make, and so are the ledger's balances.</summary>
    private async Task AssertCountedAsync()
    {
        Assert.That(
            await _books.Host.SqlAsync(
                """
                WITH made AS (
                  SELECT h.tenant_id, a.of AS assistant_id, (h.placed_at AT TIME ZONE 'UTC')::date AS day, sum(CASE WHEN h.status = 'active' THEN h.amount ELSE 0 END) AS held,
                    sum(CASE WHEN h.status = 'settled' AND NOT EXISTS (SELECT FROM billing.transactions r WHERE r.metadata->>'reverses' = h.transaction_id) THEN
                      (SELECT -sum(e.amount) FROM billing.entries e WHERE e.transaction_id = h.transaction_id AND e.account IN ('available', 'held')) ELSE 0 END) AS charged
                  FROM billing.holds h, LATERAL unnest(ARRAY['', h.assistant_id]) AS a(of) GROUP BY 1, 2, 3)
                SELECT count(*) FROM made m FULL JOIN billing.spending s USING (tenant_id, assistant_id, day)
                WHERE tenant_id = $1 AND (m.held, m.charged) IS DISTINCT FROM (s.held::numeric, s.charged::numeric)
                """,
                _books.Tenant.TenantId),
            Is.Zero);
        await _books.AssertSoundAsync();
    }

    private async Task<string> StartAsync()
    {
        var answer = await TryStartAsync();
        Assert.That(answer.Status, Is.EqualTo(HttpStatusCode.Created), answer.Body?.ToJsonString());
        return answer.Get<string>("id");
    }

    private Task<Answer> TryStartAsync(string? assistant = null) => _books.Tenant.PostAsync("/v1/sessions", new { assistant_id = assistant ?? _assistant, text_only = true });

    private static long Of(JsonNode node, string name) => node[name]!.GetValue<long>();

    private static string Text(JsonNode node, string name) => node[name]!.GetValue<string>();
}
