using System.Text.Json;
using VoicePlatform.Assistants.Data;

namespace VoicePlatform.Assistants.Features;

/// <summary>Seed 003's PATCH /assistant/update/{assistant_id}: only what is given changes.</summary>
internal static class UpdateAssistant003
{
    public static void Map(RouteGroupBuilder seed) => seed
        .MapPatch("/update/{assistant_id}", async (string assistant_id, Settings003 body, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(assistant_id, body), ct)).ToHttp(a => SeedRoute.Success("Assistant updated", a)))
        .WithName(nameof(UpdateAssistant003));

    public sealed record Command(string AssistantId, Settings003 Settings) : ICommand<Told003>;

    internal sealed class Handler(AssistantDb db, IMediator mediator, Caller caller) : IRequestHandler<Command, Result<Told003>>
    {
        public async Task<Result<Told003>> Handle(Command command, CancellationToken cancellationToken)
        {
            var current = await db.Assistants.AsNoTracking()
                .Where(a => a.Id == command.AssistantId && a.TenantId == caller.TenantId && a.DeletedAt == null)
                .Join(db.Versions, a => new { a.Id, a.Version }, v => new { Id = v.AssistantId, v.Version }, (a, v) => new { v.Version, v.Document })
                .SingleOrDefaultAsync(cancellationToken);
            if (current is null)
            {
                return AssistantErrors.NotFound;
            }

            // A voice alone is one of the provider that speaks now.
            var settings = command.Settings;
            var spoken = Json.Read<Contracts.Assistants.AssistantDocument>(current.Document).Tts.Model;
            var ttsModel = settings.AssistantTtsModel ?? Settings003.TtsModelOf(spoken);
            if ((settings.Refusal(ttsModel) ?? await settings.RefusalOfUrlAsync(mediator, cancellationToken)) is { } refusal)
            {
                return refusal;
            }

            var changed = await mediator.Send(
                new ChangeAssistant(command.AssistantId, JsonSerializer.SerializeToElement(settings.ToPatch(ttsModel)), Etag.Of(current.Version)), cancellationToken);
            return changed.IsOk ? Told003.Of(changed.Value) : changed.Error;
        }
    }
}
