using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Answers;

internal sealed class AttendSessionHandler(SessionDb db, UnitOfWork unit, IMediator mediator, TimeProvider clock) : IRequestHandler<AttendSession, Result<ConversationPlan>>
{
    public async Task<Result<ConversationPlan>> Handle(AttendSession request, CancellationToken cancellationToken)
    {
        if (await db.Sessions.SingleOrDefaultAsync(s => s.Id == request.SessionId, cancellationToken) is not { } session)
        {
            return SessionErrors.NotFound;
        }

        var now = clock.GetUtcNow();
        if (session.Attend(now) is { } refusal)
        {
            return refusal;
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

        await db.SaveChangesAsync(cancellationToken);
        var values = Placeholders.Values(assistant.Value.Document, session.Variables, session.Metadata);
        var unknown = new SortedSet<string>();
        var document = Placeholders.Fill(assistant.Value.Document, values, unknown);
        await unit.AppendAsync(
            session.Id, [], [], [], unknown.Select(name => new SessionNote(now, "variable.unknown", $"There is no value for {{{{{name}}}}}.")).ToList(), cancellationToken);
        return new ConversationPlan(
            session.Id, session.TenantId, session.RoomName, session.ParticipantIdentity, document, values, TimeSpan.FromSeconds(session.MaxDurationS),
            session.PhoneCall is { } phone ? phone with { Voicemail = phone.Voicemail with { Message = Placeholders.Fill(phone.Voicemail.Message, values, unknown) } } : null)
        {
            AssistantId = session.AssistantId,
            Covered = session.IsTest ? null : Pricing.FirstCover(session.Longest, now - (session.StartedAt ?? now)),
            Tools = tools.Value.Tools,
        };
    }
}
