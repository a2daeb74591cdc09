using VoicePlatform.Assistants.Data;

namespace VoicePlatform.Assistants.Features;

/// <summary>No new conversation starts with it; running ones keep the version they pinned.</summary>
internal static class DeleteAssistant
{
    public static void Map(RouteGroupBuilder assistants) => assistants
        .MapDelete("/{id}", async (string id, HttpContext http, IMediator mediator, CancellationToken ct) =>
            (await mediator.Send(new Command(id, Etag.Wanted(http)), ct)).ToHttp(_ => TypedResults.NoContent()))
        .WithName(nameof(DeleteAssistant))
        .Produces(StatusCodes.Status204NoContent);

    public sealed record Command(string AssistantId, string IfMatch) : ICommand<Done>;

    internal sealed class Handler(AssistantDb db, AuditLog audit, Caller caller, TimeProvider clock) : IRequestHandler<Command, Result<Done>>
    {
        public async Task<Result<Done>> Handle(Command command, CancellationToken cancellationToken)
        {
            var assistant = await db.Assistants.SingleOrDefaultAsync(
                a => a.Id == command.AssistantId && a.TenantId == caller.TenantId && a.DeletedAt == null, cancellationToken);
            if (assistant is null)
            {
                return AssistantErrors.NotFound;
            }

            if (Etag.Refusal(command.IfMatch, assistant.Version) is { } changed)
            {
                return changed;
            }

            assistant.Delete(clock.GetUtcNow());
            await db.SaveChangesAsync(cancellationToken);
            await audit.NoteAsync("assistant.deleted", assistant.Id, new { assistant.Name }, cancellationToken);
            return default(Done);
        }
    }
}
