using VoicePlatform.Contracts.Agent;
using VoicePlatform.Contracts.Assistants;
using VoicePlatform.Contracts.Billing;
using VoicePlatform.Contracts.Sessions;
using VoicePlatform.Sessions.Data;

namespace VoicePlatform.Sessions.Answers;

internal sealed class OpenPhoneSessionHandler(SessionDb db, IMediator mediator, TimeProvider clock) : IRequestHandler<OpenPhoneSession, Result<PhoneSession>>
{
    public async Task<Result<PhoneSession>> Handle(OpenPhoneSession request, CancellationToken cancellationToken)
    {
        var assistant = await mediator.Send(
            new FindAssistant(request.TenantId, request.AssistantId, request.Version, request.OverridesJson, request.IsTest), cancellationToken);
        if (!assistant.IsOk)
        {
            return assistant.Error;
        }

        var document = assistant.Value.Document;
        if (document.Architecture is Architecture.Text)
        {
            return SessionErrors.TextArchitecture;
        }

        var session = Session.OpenPhone(request, assistant.Value, clock.GetUtcNow());
        db.Sessions.Add(session);
        await db.SaveChangesAsync(cancellationToken);
        var ready = await mediator.Send(new CheckReadiness(request.TenantId, document, Voice: true), cancellationToken);
        return ready.IsOk ? new PhoneSession(session.Id, ready.Value.AgentName, assistant.Value.Version) : ready.Error;
    }
}

internal sealed class HoldForCallHandler(IMediator mediator) : IRequestHandler<HoldForCall, Result<Done>>
{
    public async Task<Result<Done>> Handle(HoldForCall request, CancellationToken cancellationToken)
    {
        var expected = Pricing.FirstHold(new Channel(TextOnly: false, request.Direction, request.IsRecorded, request.Number), Session.LongestOf(request.MaxDurationS));
        var hold = await mediator.Send(new PlaceHold(request.TenantId, request.CallId, request.AssistantId, expected), cancellationToken);
        return hold.IsOk ? default(Done) : hold.Error;
    }
}
