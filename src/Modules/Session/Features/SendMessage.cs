using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Answers;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Features;

/// <summary>
/// A text turn: keeps what the user said, asks the assistant outside any transaction, keeps what it answered. One turn at a time;
/// a turn that died leaves the user's line, and the session free again after a minute.
/// </summary>
internal static class SendMessage
{
    private static readonly TimeSpan AnswerTimeout = TimeSpan.FromSeconds(60);

    public static void Map(RouteGroupBuilder sessions) => sessions
        .MapPost("/{id}/messages", async (string id, Body body, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new TextTurn(id, body.Text), ct)).ToHttp(r => TypedResults.Json(r, Json.Options)))
        .WithName(nameof(SendMessage))
        .Produces<TextReply>();

    public sealed record Body(string? Text);

    internal sealed class Handler(IMediator mediator, TimeProvider clock) : IRequestHandler<TextTurn, Result<TextReply>>
    {
        public async Task<Result<TextReply>> Handle(TextTurn command, CancellationToken cancellationToken)
        {
            var turn = await mediator.Send(new BeginTurn(command.SessionId, command.Text!), cancellationToken);
            if (!turn.IsOk)
            {
                return turn.Error;
            }

            var t = turn.Value;
            using var timeout = new CancellationTokenSource(AnswerTimeout, clock);
            using var either = CancellationTokenSource.CreateLinkedTokenSource(cancellationToken, timeout.Token);
            Result<TextAnswer> answer;
            try
            {
                answer = await mediator.Send(new AnswerInText(t.Assistant, t.Variables, t.History, command.Text!, t.TenantId) { SessionId = t.SessionId, AssistantId = t.AssistantId, Tools = t.Tools }, either.Token);
            }
            catch (OperationCanceledException) when (!cancellationToken.IsCancellationRequested)
            {
                answer = new Error(ErrorKind.Unavailable, "agent.timeout", "The assistant's model did not answer in time.");
            }
            catch
            {
                // The client went away in mid-answer, or the answer failed as nobody foresaw: the turn must not stay busy for it.
                await mediator.Send(new EndTurn(t, null), CancellationToken.None);
                throw;
            }

            // Kept although the client may have gone meanwhile: the answer happened and is charged.
            var kept = await mediator.Send(new EndTurn(t, answer.IsOk ? answer.Value : null), CancellationToken.None);
            if (!answer.IsOk || !kept.IsOk)
            {
                return answer.Error ?? kept.Error!;
            }

            return new TextReply(answer.Value.Text, t.Turn, kept.Value.IsOver);
        }
    }

    internal sealed record BeginTurn(string SessionId, string Text) : ICommand<OpenTurn>;

    internal sealed record OpenTurn(
        string SessionId, string TenantId, int Turn, int Seq, AssistantDocument Assistant, IReadOnlyDictionary<string, string> Variables,
        IReadOnlyList<TextLine> History, string AssistantId, IReadOnlyList<ToolDocument> Tools);

    internal sealed class BeginTurnHandler(SessionDb db, UnitOfWork unit, IMediator mediator, Caller caller, TimeProvider clock) : IRequestHandler<BeginTurn, Result<OpenTurn>>
    {
        public async Task<Result<OpenTurn>> Handle(BeginTurn request, CancellationToken cancellationToken)
        {
            var now = clock.GetUtcNow();
            var session = await db.Sessions
                .FromSql($"SELECT * FROM session.sessions WHERE id = {request.SessionId} AND tenant_id = {caller.TenantId} FOR UPDATE")
                .SingleOrDefaultAsync(cancellationToken);
            if (session is null)
            {
                return SessionErrors.NotFound;
            }

            if (session.Status is SessionStatus.Ended || session.BusyUntil > now || !session.TextOnly)
            {
                return session.Status is SessionStatus.Ended ? SessionErrors.AlreadyEnded : session.TextOnly ? SessionErrors.Busy : SessionErrors.IsVoice;
            }

            var assistant = await mediator.Send(new FindAssistant(session.TenantId, session.AssistantId, session.AssistantVersion, session.Overrides, session.IsTest), cancellationToken);
            if (!assistant.IsOk)
            {
                return assistant.Error;
            }

            var tools = await mediator.Send(new FindTools(session.TenantId, assistant.Value.Document.Tools), cancellationToken);
            if (!tools.IsOk)
            {
                return tools.Error;
            }

            session.BusyUntil = now + AnswerTimeout + TimeSpan.FromSeconds(5);
            session.Attend(now);
            await db.SaveChangesAsync(cancellationToken);

            var lines = await unit.LinesAsync(session.Id, cancellationToken);
            var (seq, turn) = lines.Count == 0 ? (1, 1) : (lines[^1].Seq + 1, lines[^1].Turn + 1);
            await unit.AppendAsync(session.Id, [new(seq, turn, Speaker.User, request.Text, now, now, false)], [], [], [], cancellationToken);

            // The last of it, because it locks the tenant's account.
            var used = await unit.UsageAsync(session.Id, cancellationToken);
            var covered = await mediator.Send(new ExtendHold(session.TenantId, session.HoldSubject, Pricing.Ahead(session.Channel, used, TimeSpan.Zero, session.Longest)), cancellationToken);
            if (!covered.IsOk)
            {
                return covered.Error;
            }

            if (covered.Value is Cover.Over || (covered.Value is Cover.NotNeeded && !session.IsTest))
            {
                return SessionErrors.NotCovered;
            }

            var values = Placeholders.Values(assistant.Value.Document, session.Variables, session.Metadata);
            return new OpenTurn(
                session.Id, session.TenantId, turn, seq, Placeholders.Fill(assistant.Value.Document, values, new SortedSet<string>()), values,
                lines.ConvertAll(l => new TextLine(l.Speaker == "agent" ? Speaker.Agent : Speaker.User, l.Text)), session.AssistantId, tools.Value.Tools);
        }
    }

    /// <param name="Answer">Null when there was none.</param>
    internal sealed record EndTurn(OpenTurn Turn, TextAnswer? Answer) : ICommand<EndedTurn>;

    /// <param name="IsOver">The conversation is, by the assistant's doing or by somebody else's meanwhile.</param>
    internal sealed record EndedTurn(bool IsOver);

    internal sealed class EndTurnHandler(SessionDb db, IMediator mediator, TimeProvider clock) : IRequestHandler<EndTurn, Result<EndedTurn>>
    {
        public async Task<Result<EndedTurn>> Handle(EndTurn request, CancellationToken cancellationToken)
        {
            var turn = request.Turn;
            var session = await db.Sessions.FromSql($"SELECT * FROM session.sessions WHERE id = {turn.SessionId} FOR UPDATE").SingleAsync(cancellationToken);
            session.BusyUntil = null;
            await db.SaveChangesAsync(cancellationToken);
            var isOver = session.Status is SessionStatus.Ended;
            if (request.Answer is not { } answer)
            {
                return new EndedTurn(isOver);
            }

            // As an agent's report: what was answered is charged, with the conversation's end or, when somebody ended it meanwhile, on top of that.
            var now = clock.GetUtcNow();
            var usage = answer.Usage.Append(new UsageTotal("message", "platform", "text", "message", 1)).Select(u => u with { Turn = turn.Turn });
            var kept = await mediator.Send(
                new ReportProgressHandler.Keep(new ReportProgress(
                    turn.SessionId, [new(turn.Seq + 1, turn.Turn, Speaker.Agent, answer.Text, now, now, false)], [], usage.ToList(), answer.Notes, CallerPresent: true)),
                cancellationToken);
            if (!kept.IsOk)
            {
                return kept.Error;
            }

            if (isOver || !answer.EndsConversation)
            {
                return new EndedTurn(isOver);
            }

            var finished = await mediator.Send(new FinishSession(turn.SessionId, EndReasons.AssistantEnded), cancellationToken);
            return finished.IsOk ? new EndedTurn(IsOver: true) : finished.Error;
        }
    }
}
