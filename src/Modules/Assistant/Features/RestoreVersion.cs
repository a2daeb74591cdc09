using VoicePlatform.Assistants.Data;
using VoicePlatform.Assistants.Tools;
using VoicePlatform.Contracts.Assistants;

namespace VoicePlatform.Assistants.Features;

/// <summary>Makes an old version's document the newest version.</summary>
internal static class RestoreVersion
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapPost("/{id}/versions/{version:int}/restore", async (string id, int version, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, version), ct)).ToHttp(r => AssistantView.Answer(r, http)))
        .WithName(nameof(RestoreVersion))
        .Produces<AssistantView>();

    public sealed record Command(string AssistantId, int Version) : ICommand<AssistantView>;

    internal sealed class Handler(AssistantDb db, IMediator mediator, AuditLog audit, Caller caller, TimeProvider clock) : IRequestHandler<Command, Result<AssistantView>>
    {
        public async Task<Result<AssistantView>> Handle(Command command, CancellationToken cancellationToken)
        {
            var assistant = await db.Assistants.SingleOrDefaultAsync(
                a => a.Id == command.AssistantId && a.TenantId == caller.TenantId && a.DeletedAt == null, cancellationToken);
            if (assistant is null)
            {
                return AssistantErrors.NotFound;
            }

            var old = await db.Versions.AsNoTracking().SingleOrDefaultAsync(v => v.AssistantId == assistant.Id && v.Version == command.Version, cancellationToken);
            if (old is null)
            {
                return AssistantErrors.VersionNotFound;
            }

            var document = Json.Read<AssistantDocument>(old.Document);
            if ((await mediator.RefusalOfUrlAsync(document, cancellationToken) ?? await db.RefusalOfToolsAsync(caller.TenantId, document, cancellationToken)) is { } refusal)
            {
                return refusal;
            }

            db.Add(assistant.Change(document, caller.UserId, clock.GetUtcNow()));
            try
            {
                await db.SaveChangesAsync(cancellationToken);
            }
            catch (DbUpdateException e) when (e is DbUpdateConcurrencyException || e.InnerException is Npgsql.PostgresException { SqlState: "23505" })
            {
                return AssistantErrors.ChangedMeanwhile;
            }

            await audit.NoteAsync("assistant.restored", assistant.Id, new { assistant.Version, from_version = command.Version }, cancellationToken);
            return AssistantView.Of(assistant, document);
        }
    }
}
