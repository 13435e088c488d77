"""What happens after: catalogue, access requests, retention, holds, disposal."""
